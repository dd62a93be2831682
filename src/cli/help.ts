// Runs in: cli
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { VARIABLES } from '../config.ts';
import { EdgeError } from '../errors.ts';
import { describeExitCodes } from './exit-codes.ts';
import { show } from './output.ts';
import { fold } from './table.ts';

/** What the help of a command ends with, and its topics, in the order in which people read about them. */
const TOPICS = {
  routing: 'how a backend is chosen, and what sticks',
  database: 'the routing database: its table, and what is done with it',
  configuration: 'every variable, its default and what it may hold',
  operations: 'pm2, signals, and what holds while workers come and go',
  api: 'the admin API',
  metrics: 'what /metrics tells',
  logs: 'the records, and their fields',
  performance: 'the two engines, and what was measured',
  troubleshooting: 'what you see, and what it is',
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
    show(false, null, () => describeTopics(columns));
    return;
  }
  if (words.length === 1 && isTopic(word)) {
    show(false, null, () => topicText(word, columns));
    return;
  }
  let command = program;
  for (const each of words) {
    const found = command.commands.find((candidate) => candidate.name() === each);
    if (found === undefined) {
      const what = words.join(' ').slice(0, 100);
      throw new EdgeError(
        'EDGE_ERR_USAGE',
        `there is neither a topic nor a command ${what}\ntopics: ${TOPIC_NAMES.join(' ')}\nsee: edgeproxy --help`,
      );
    }
    command = found;
  }
  command.outputHelp();
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
  const file = readFileSync(new URL(`../help/${topic}.md`, import.meta.url), 'utf8').trimEnd();
  return [...file.split('\n'), ...(topic === 'configuration' ? describeVariables(columns) : [])];
}

export function describeVariables(columns: number): readonly string[] {
  return Object.entries(VARIABLES).flatMap(([name, { default: byDefault, meaning, expected }]) => [
    '',
    `${name}=${byDefault}`,
    ...fold(meaning, columns - 4).map((line) => `    ${line}`),
    ...fold(`May hold ${expected}.`, columns - 4).map((line) => `    ${line}`),
  ]);
}

function isTopic(word: string): word is Topic {
  return Object.hasOwn(TOPICS, word);
}
