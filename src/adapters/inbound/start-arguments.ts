// Runs in: primary
import { EdgeError } from '../../errors.ts';

/** What the help says of a variable. */
export interface DocumentedVariable {
  readonly default: string;
  readonly meaning: string;
}

export interface Program {
  readonly version: string;
  readonly variables: Readonly<Record<string, DocumentedVariable>>;
}

const COLUMNS = 80;
const INDENT = 6;

/**
 * The text that the arguments ask for; `null`: a start.
 * @throws EDGE_ERR_USAGE for any other argument
 */
export function readStartArguments(args: readonly string[], program: Program): string | null {
  if (args.includes('--help') || args.includes('-h')) return help(program);
  if (args.includes('--version')) return `${program.version}\n`;
  if (args.length === 0) return null;
  throw new EdgeError(
    'EDGE_ERR_USAGE',
    `the proxy takes no arguments, and was given ${JSON.stringify(args[0]!.slice(0, 100))}: it is configured by environment ` +
      'variables, which --help lists; the commands are those of "npx edgeproxy"',
  );
}

function help({ version, variables }: Program): string {
  const lines = [
    `edgeProxy ${version}: a Layer-4 (TCP) proxy for Points of Presence`,
    '',
    ...wrap(
      'Starts the proxy, in the foreground. It takes no arguments but --help and --version, and is configured by ' +
        'environment variables; unset means the default, which stands behind the name.',
      0,
    ),
    '',
    ...Object.entries(variables).flatMap(([name, variable]) => [
      `  ${name}${variable.default === '' ? '' : `  ${variable.default}`}`,
      ...wrap(variable.meaning, INDENT),
    ]),
    '',
    ...wrap("The operator's commands (backends, workers, explain, check, ...): npx edgeproxy --help", 0),
  ];
  return `${lines.join('\n')}\n`;
}

function wrap(text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((text) => ' '.repeat(indent) + text);
}
