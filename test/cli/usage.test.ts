import { spawn } from 'node:child_process';
import { text as readAll } from 'node:stream/consumers';
import { stripVTControlCharacters, styleText } from 'node:util';
import type { Command } from 'commander';
import t from 'tap';
import { describeError, errorText } from '../../src/cli/error-text.ts';
import { TOPIC_NAMES, topicText } from '../../src/cli/help.ts';
import { createProgram, runProgram } from '../../src/cli/program.ts';
import { VARIABLES } from '../../src/config.ts';
import { ERRORS } from '../../src/errors.ts';
import { CLEAN_ENV } from '../fixtures/clean-env.ts';
import { CLI, runCli } from './run-cli.ts';

function walk(command: Command): Command[] {
  return [command, ...command.commands.flatMap(walk)];
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return text;
}

t.test('every command has its help', async (t) => {
  const [, ...commands] = walk(createProgram());
  t.same(
    commands.map((command) => `${command.parent?.name()} ${command.name()}`),
    [
      'edgeproxy check',
      'edgeproxy backends',
      ...['list', 'add', 'set', 'enable', 'disable', 'remove', 'delete'].map((name) => `backends ${name}`),
      'edgeproxy status',
      'edgeproxy explain',
      'edgeproxy workers',
      ...['list', 'roll', 'scale'].map((name) => `workers ${name}`),
      'edgeproxy help',
    ],
  );
  for (const command of commands) {
    const name = command.name();
    const help = helpOf(command);
    t.match(help, new RegExp(`^Usage: edgeproxy .*${name} `), name);
    t.ok(command.description().length > 0, name);
    t.equal(help.includes('--json'), command.commands.length === 0 && name !== 'help', name);
    t.same(
      help.split('\n').filter((line) => line.length > 80),
      [],
      `${name}: fits a screen`,
    );
    t.match(help, /Exit codes: see "edgeproxy --help"/, name);
    for (const option of command.options) t.ok(option.description.length > 0, `${name} ${option.flags}`);
  }
});

t.test('help is a result: on stdout, with exit code 0', async (t) => {
  const { code, stdout, stderr } = await runCli(['backends', 'add', '--help']);
  t.match({ code, stderr }, { code: 0, stderr: '' });
  t.match(stdout, /^Usage: edgeproxy backends add \[options\] <id>\n/);
  const bare = await runCli(['backends']);
  t.match(bare, {
    code: 2,
    stdout: '',
    stderr: /^Usage: edgeproxy backends .*edgeproxy: a command is missing\nsee: /s,
  });
});

t.test('every topic of the help can be read, and fits a screen', async (t) => {
  const { code, stdout } = await runCli(['help']);
  t.equal(code, 0);
  for (const name of TOPIC_NAMES) {
    t.match(stdout, new RegExp(`^ {2}${name} `, 'm'));
    const lines = topicText(name, 80);
    t.ok(lines.length > 5, name);
    t.same(
      lines.filter((line) => line.length > 80),
      [],
      name,
    );
    t.notMatch(lines[0], /^\s*$/, name);
  }
  t.match((await runCli(['help', 'routing'])).stdout, /score = tier \* 100/);
  t.match(await runCli(['help', 'backends', 'add']), { code: 0, stdout: /^Usage: edgeproxy backends add / });
  await t.rejects(runProgram(['help', 'nothing']), {
    code: 'EDGE_ERR_USAGE',
    exitCode: 2,
    message: /^there is neither a topic nor a command nothing\ntopics: routing bindings .*\ncommands: check backends /,
  });
  const text = topicText('configuration', 80).join('\n');
  for (const [name, { default: byDefault }] of Object.entries(VARIABLES)) t.match(text, `\n    ${name}=${byDefault}\n`);
});

t.test('headings of a topic stand out on a terminal, and are plain elsewhere', async (t) => {
  const plain = await runCli(['help', 'bindings']);
  t.match(plain.stdout, /^# Bindings\n\n.*\n## To see them\n/s);
  t.notMatch(plain.stdout, '\u001b');
  if (process.platform !== 'linux') return;
  const onTerminal = async (env: Readonly<Record<string, string>>) => {
    const line = `exec '${process.execPath}' '${CLI}' help bindings`;
    const child = spawn('script', ['-qec', line, '/dev/null'], {
      env: { ...CLEAN_ENV, SHELL: '/bin/sh', TERM: 'xterm', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return (await readAll(child.stdout)).replaceAll('\r\n', '\n');
  };
  const styled = await onTerminal({});
  t.ok(
    styled.startsWith(`${styleText('bold', 'Bindings', { validateStream: false })}\n\nA binding keeps`),
    'the title is bold',
  );
  t.equal(stripVTControlCharacters(styled), plain.stdout.replaceAll(/^#+ /gm, ''), 'and nothing else differs');
  t.equal(await onTerminal({ NO_COLOR: '1' }), plain.stdout);
});

t.test('help errors names every error with its exit code', async (t) => {
  const codes = new Map<string, number>();
  let exitCode = 0;
  for (const line of topicText('errors', 80)) {
    const [, number, name] = /^ +(\d+)? +(EDGE_ERR_\w+)/.exec(line) ?? [];
    if (name === undefined) continue;
    exitCode = number === undefined ? exitCode : Number(number);
    codes.set(name, exitCode);
  }
  t.same(Object.fromEntries(codes), Object.fromEntries(Object.entries(ERRORS).map(([k, v]) => [k, v.exitCode])));
  const { code, stdout } = await runCli(['--help']);
  t.equal(code, 0);
  t.same(
    stdout.split('\n').filter((line) => line.length > 80),
    [],
  );
  t.match((await runCli(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
});

t.test('explain says of every code what it means and what to do', async (t) => {
  for (const [code, { meaning }] of Object.entries(ERRORS)) {
    const { remedy } = errorText(code);
    t.ok(remedy.length > 30, code);
    const lines = describeError(errorText(code.toLowerCase()), 80);
    t.match(lines.join(' '), meaning);
    t.ok(lines.every((line) => line.length <= 80));
  }
  const { code, stdout } = await runCli(['explain', 'EDGE_ERR_PROTOCOL']);
  t.equal(code, 0);
  t.match(stdout, /^EDGE_ERR_PROTOCOL\n.*exit code 7\n\n.*the old workers\s+serve on/s);
  await t.rejects(runProgram(['explain', 'EDGE_ERR_NONE']), { code: 'EDGE_ERR_USAGE', message: /lists all/ });
});

const WRONG: readonly (readonly [string, RegExp])[] = [
  ['chekc', /unknown command 'chekc'\n\(Did you mean check\?\)\nsee: edgeproxy --help/],
  ['backends lsit', /unknown command 'lsit'.*list.*see: edgeproxy backends --help/s],
  ['check --port 1', /unknown option '--port'\nsee: edgeproxy check --help/],
  ['check now', /too many arguments for 'check'/],
  ['explain', /missing required argument 'ip'/],
  ['explain example.org', /example\.org is no IP address: expected IPv4/],
  ['explain 1.2.3.4 --limit 0', /--limit <n>.* whole number from 1 to 1000000/],
  ['workers scale', /missing required argument 'count'\nsee: edgeproxy workers scale --help/],
  ['workers scale 257', /whole number from 1 to 256/],
  ['workers scale two', /whole number/],
  ['workers list --admin nowhere', /--admin nowhere: expected ip:port or unix:\/path/],
  ['backends add', /missing required argument 'id'/],
  ['backends add a --region sa', /a backend needs --host, --port as well/],
  ['backends add a --region sa --host 10.0.0.1 --port 1e3', /--port <n>.*'1e3' is invalid.*whole number/],
  ['backends set a', /there is nothing to change/],
  ['backends list --region mars', /--region mars: expected one of sa, us/],
  ['backends list --db=', /--db needs the path/],
  ['backends delete', /either its id or --rowid/],
  ['backends delete a --rowid 1', /either its id or --rowid/],
];

t.test('a wrong call says what is wrong, and where to read what is right', async (t) => {
  for (const [line, message] of WRONG) {
    await t.rejects(runProgram(line.split(' ')), { code: 'EDGE_ERR_USAGE', exitCode: 2, message }, line);
  }
  const { code, stdout, stderr } = await runCli(['workers', 'scale', '0']);
  t.match({ code, stdout }, { code: 2, stdout: '' });
  t.match(stderr, /^edgeproxy: .*whole number from 1 to 256\.\nsee: edgeproxy workers scale --help\n$/);
});

t.test('with --json the error is JSON', async (t) => {
  const { code, stdout, stderr } = await runCli(['explain', 'example.org', '--json']);
  t.equal(code, 2);
  t.equal(stdout, '');
  t.match(JSON.parse(stderr), { error: { code: 'EDGE_ERR_USAGE', message: /no IP address/ } });
  const parser = await runCli(['explain', '--json']);
  t.match(JSON.parse(parser.stderr), { error: { code: 'EDGE_ERR_USAGE', message: /missing required argument/ } });
});
