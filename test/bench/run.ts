import { loadAddon } from '../../src/adapters/dataplane/epoll/load-addon.ts';
import { messageOf } from '../../src/errors.ts';
import { type Comparison, compare } from './compare.ts';
import type { Engine } from './contestants.ts';
import { describeMachine, machineText } from './machine.ts';
import { microRows } from './micro-rows.ts';
import { HELP, type Options, readOptions } from './options.ts';
import { Bench } from './processes.ts';
import { figure, tableText } from './table.ts';

const say = (text: string) => process.stderr.write(`${text}\n`);

/** Ended by a signal, as shells have it: 128 and its number. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

function conditions({ idleConnections, latency }: Comparison, { rounds, seconds }: Options): string[] {
  const lines = [`rounds: ${rounds}, of ${seconds} s`];
  if (idleConnections !== null) {
    const few = figure(Math.floor(idleConnections / 4));
    lines.push(`memory: slope between ${few} and ${figure(idleConnections)} connections held`);
  }
  if (latency !== null) {
    const { rate, capacity, capacityOf, direct } = latency;
    lines.push(
      `latency: at ${figure(rate)} requests a second, half of the ${figure(capacity)} that ${capacityOf} carries` +
        ` from the generator, which has ${figure(direct)} answered without a proxy`,
    );
  }
  return lines;
}

/** The engines asked for that can run here. */
function builtEngines(asked: readonly Engine[]): readonly Engine[] {
  const { reason } = loadAddon();
  if (reason === null || !asked.includes('epoll')) return asked;
  say(`without the epoll engine, the stream engine alone: ${reason}`);
  return ['stream'];
}

async function measure(bench: Bench, asked: Options): Promise<void> {
  const machine = describeMachine();
  say(machineText(machine));
  const options = { ...asked, engines: builtEngines(asked.engines) };
  const micro = options.parts.includes('micro') ? await microRows(bench, say) : [];
  const comparison = await compare(bench, options, say);
  const rows = [...micro, ...comparison.rows];
  if (rows.length === 0) {
    say('nothing was measured');
    process.exitCode = 1;
  } else if (options.json) {
    const { idleConnections, latency } = comparison;
    const { rounds, seconds } = options;
    const results = { machine, date: new Date().toISOString(), rounds, seconds, idleConnections, latency, rows };
    process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  } else {
    process.stdout.write(`${[machineText(machine), ...conditions(comparison, options), tableText(rows)].join('\n')}\n`);
  }
}

async function run(options: Options): Promise<void> {
  const bench = new Bench();
  for (const [signal, code] of Object.entries(SIGNALS))
    process.once(signal, () => bench.close().finally(() => process.exit(code)));
  try {
    await measure(bench, options);
  } finally {
    await bench.close();
  }
}

/** `null`: it was told what is wrong. */
function asked(args: readonly string[]): Options | 'help' | null {
  try {
    return readOptions(args);
  } catch (error) {
    say(`${messageOf(error)}\n\`npm run bench -- --help\` lists the options`);
    return null;
  }
}

const options = asked(process.argv.slice(2));
if (options === null) process.exitCode = 2;
else if (options === 'help') process.stdout.write(`${HELP}\n`);
else await run(options);
