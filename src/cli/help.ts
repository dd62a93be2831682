// Runs in: cli
import { readFileSync } from 'node:fs';
import { styleText } from 'node:util';
import type { Command } from 'commander';
import { VARIABLES } from '../config.ts';
import { EdgeError } from '../errors.ts';
import { describeExitCodes } from './exit-codes.ts';
import { show } from './output.ts';
import { fold } from './table.ts';

/** What the help of a command ends with, and its topics, in the order in which people read about them. */
const TOPICS = {
  routing: 'how a backend is chosen, and why a connection got its own',
  bindings: 'what keeps a client on its backend, and how it is moved',
  database: 'the routing database: its table, and how to edit it',
  configuration: 'every variable, its default and what it may hold',
  operations: 'pm2, systemd, signals, rolls, upgrades, log rotation',
  api: 'the admin API: its endpoints, and who may ask',
  metrics: 'what /metrics tells, and what to be woken by',
  logs: 'the records, and their fields',
  performance: 'the two engines, what was measured, how many workers',
  troubleshooting: 'what you see, what it is, and what to type',
  inside: 'processes, the way of a connection, where to look, tests',
  limits: 'what edgeProxy does not do yet',
  errors: 'every error code with its exit code',
} as const;

type Topic = keyof typeof TOPICS;
export const TOPIC_NAMES = Object.keys(TOPICS) as Topic[];

/** Replaces the parser's own `help`, which knows commands only. */
export function addHelp(program: Command, columns: number): void {
  program.helpCommand(false);
  program
    .command('help')
    .argument('[topic...]', 'a topic, or a command')
    .description('read about a topic, or about a command; without one, which topics there are')
    .action((words: string[]) => help(program, words, columns));
}

function help(program: Command, words: readonly string[], columns: number): void {
  const [word] = words;
  if (word === undefined) {
    show(false, null, () => [...describeTopics(columns), '', 'Commands: edgeproxy --help']);
    return;
  }
  if (words.length === 1 && isTopic(word)) {
    // Our own text: it is harmless to a terminal, and its headings need not be.
    process.stdout.write(
      topicText(word, columns)
        .map((line) => `${forTerminal(line)}\n`)
        .join(''),
    );
    return;
  }
  let command = program;
  for (const each of words) {
    const found = command.commands.find((candidate) => candidate.name() === each);
    if (found === undefined) throw unknown(program, words);
    command = found;
  }
  command.outputHelp();
}

function unknown(program: Command, words: readonly string[]): EdgeError {
  const what = words.join(' ').slice(0, 100);
  const commands = program.commands.map((command) => command.name());
  const there = `topics: ${TOPIC_NAMES.join(' ')}\ncommands: ${commands.join(' ')}`;
  return new EdgeError('EDGE_ERR_USAGE', `there is neither a topic nor a command ${what}\n${there}`);
}

/** A heading is set off where that can be done, and stays as it is in a pipe, and with NO_COLOR. */
function forTerminal(line: string): string {
  const title = /^#+ (.*)$/.exec(line)?.[1];
  if (title === undefined) return line;
  const styled = styleText('bold', title, { stream: process.stdout });
  return styled === title ? line : styled;
}

/** `  routing          how a backend is chosen ...` */
export function describeTopics(columns: number): readonly string[] {
  const width = Math.max(...TOPIC_NAMES.map((name) => name.length)) + 4;
  const lines = TOPIC_NAMES.flatMap((name) =>
    fold(TOPICS[name], columns - width).map((line, i) => (i === 0 ? `  ${name}` : '').padEnd(width) + line),
  );
  return ['Topics, each by "edgeproxy help <topic>":', ...lines];
}

/** In lines of `columns` columns at most. */
export function topicText(topic: Topic, columns: number): readonly string[] {
  if (topic === 'errors') return describeExitCodes(columns).split('\n');
  const lines = readFileSync(new URL(`../help/${topic}.md`, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n');
  if (topic !== 'configuration') return lines;
  // The file has them too, for whoever reads it elsewhere; here they are those of this very code.
  return [...lines.slice(0, lines.indexOf(VARIABLES_HEADING) + 1), ...describeVariables(columns)];
}

const VARIABLES_HEADING = '## Variables';

function describeVariables(columns: number): readonly string[] {
  const under = (text: string) => fold(text, columns - 8).map((line) => `        ${line}`);
  return Object.entries(VARIABLES).flatMap(([name, { default: byDefault, meaning, expected }]) => [
    '',
    `    ${name}=${byDefault}`,
    ...under(meaning),
    ...under(`May hold ${expected}.`),
  ]);
}

function isTopic(word: string): word is Topic {
  return Object.hasOwn(TOPICS, word);
}
