import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { CAPACITY, type Engine } from './contestants.ts';

export const PARTS = ['micro', 'memory', 'lone', 'traffic', 'mixed', 'latency'] as const;
export type Part = (typeof PARTS)[number];

export interface Options {
  readonly rounds: number;
  readonly seconds: number;
  /** Connections to hold, already cut to what the descriptors allow. */
  readonly idle: number;
  readonly parts: readonly Part[];
  readonly engines: readonly Engine[];
  readonly json: boolean;
}

const LEAST_IDLE = 100;
/** More would run out of ports towards the one backend. */
const MOST_IDLE = 20_000;

export const HELP = `Measures both engines of edgeProxy beside HAProxy and nginx on this machine: npm run bench -- [options]

  --rounds N      interleaved rounds of each measure, 1 to 100 (5)
  --seconds N     length of one measure of one proxy, 1 to 60 (3)
  --idle N        idle connections to hold for the memory measure, ${LEAST_IDLE} to ${MOST_IDLE} (10000); fewer where the hard limit of
                  descriptors does not allow them: here at most ${Math.min(CAPACITY, MOST_IDLE)}. The heaps of ours move by some
                  megabytes of their own accord, so that few thousands say little
  --only PARTS    comma list of micro, memory, lone, traffic, mixed, latency (all)
  --engine E      epoll, stream or both (both); where the epoll engine is not built, stream is measured alone
  --json          results as JSON on stdout; progress goes to stderr either way
  --help

With the defaults it takes some half an hour, a third of it waiting for garbage to be collected in the memory part.
Nothing else should run on the machine meanwhile.

Contestants: each engine with 1 worker and with one a core (here ${availableParallelism()}), HAProxy in tcp mode with one thread, nginx's stream module
with one process; clients and backend (nginx, iperf3) share the machine with them. In each round every measure takes every
contestant once, one after the other, and each round starts with the next of them; memory, in which nothing is timed, takes
them side by side.

  micro     the primary's own work, without processes: selection, whole picks, a binding's memory, a reload.
  memory    private memory (Private_Clean and Private_Dirty of smaps_rollup, all processes of the contestant) for each
            idle connection: the slope between a quarter of the connections held and all of them, in processes that are
            fresh, warmed up by short connections, and read when their memory has not changed for ten seconds. Memory
            of the kernel's sockets is not in it.
  traffic   work done for each second of CPU time of the proxy's own processes, for edgeProxy workers and primary
            together, pick and access log included: short connections and keep-alive requests (wrk, 64 connections),
            bytes with 1 and with 8 streams (iperf3); and edgeProxy's primary's own CPU time for a short connection.
  lone      CPU time of a connection that is alone (wrk, one client, a connection for each request): of 24 workers, all
            processes together, to that with 1. The epoll engine only.
  mixed     new connections beside 1, 8 and 64 bulk streams (iperf3): one every 10 ms from a process of its own, timed from
            its connect to the end behind the one answer that it asks for; and bytes of the streams for each second of the
            proxy's CPU time, as in traffic. Either is easy to have at the other's cost.
  latency   keep-alive requests at one fixed rate over 64 connections from one process: half of what HAProxy carries
            from the same generator in a closed loop, which is measured first. A request's latency counts from the time at
            which the schedule has it, so that a stall shows with all that it held up. "Added" is the percentile through
            the proxy less the same percentile without a proxy, in the same round. The generator spins on a core, so this
            part needs two.

The table has for each measure the median of the rounds with the least and the greatest; the ratio to HAProxy, which is taken
round by round, as the median of those ratios with the least and the greatest; and what the engine must reach, what it aims
at, and which of the two the median ratio reaches. A round has no ratio when HAProxy's figure is not above 0, as an added
latency may be in the noise: "(3 of 5)" says how many have one. "noise" for "reached" is a cost too small to be seen.`;

/** @throws an Error that tells the one who typed it what to type instead */
export function readOptions(args: readonly string[]): Options | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      idle: { type: 'string', default: '10000' },
      only: { type: 'string', default: PARTS.join(',') },
      engine: { type: 'string', default: 'both' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const named = values.only.split(',').map((part) => part.trim());
  const unknown = named.find((part) => !PARTS.includes(part as Part));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: it takes a comma list of ${PARTS.join(', ')}`);
  return {
    rounds: whole('rounds', values.rounds, 1, 100),
    seconds: whole('seconds', values.seconds, 1, 60),
    idle: Math.min(whole('idle', values.idle, LEAST_IDLE, MOST_IDLE), CAPACITY),
    parts: PARTS.filter((part) => named.includes(part)),
    engines: enginesOf(values.engine),
    json: values.json,
  };
}

function whole(name: string, text: string, least: number, most: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw new Error(`--${name} ${text}: it takes a whole number from ${least} to ${most}`);
}

function enginesOf(text: string): Engine[] {
  if (text === 'both') return ['epoll', 'stream'];
  if (text === 'epoll' || text === 'stream') return [text];
  throw new Error(`--engine ${text}: it takes epoll, stream or both`);
}
