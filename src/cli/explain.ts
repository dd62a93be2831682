// Runs in: cli
import type { Command } from 'commander';
import { EdgeError } from '../errors.ts';
import { parseAddress } from '../ip-address.ts';
import { type AdminClient, isObject } from './admin-client.ts';
import { ADMIN_NOTE, type AdminOptions, addAdminOptions, adminClient } from './admin-options.ts';
import { wholeNumberIn } from './arguments.ts';
import { describeExplanation, type ExplainAnswer } from './explain-text.ts';
import { show } from './output.ts';

interface ExplainOptions extends AdminOptions {
  readonly listener?: string;
  readonly limit?: number;
}

/** Candidates that a person wants to see. */
const SHOWN = 20;

export function addExplain(program: Command): void {
  const command = program
    .command('explain')
    .argument('<ip>', "the client's address, IPv4 or IPv6")
    .description(
      'show which backend a client would get now and why, with the score of every candidate; changes nothing',
    )
    .option('--listener <name>', 'the listener that it comes to, by address or app (default: the first one)')
    .option(
      '--limit <n>',
      `candidates shown at most, the best first (default: ${SHOWN}, with --json 1000)`,
      wholeNumberIn(1, 1_000_000),
    )
    .action(explain);
  addAdminOptions(command).addHelpText(
    'after',
    `
${ADMIN_NOTE}

Score = tier * 100 + connections / soft limit / weight; the lowest wins, and no load carries a backend into the next
tier. Tiers: 0 the client's country, 1 its region, 2 the POP's region, 3 elsewhere. A client with a binding stays
with its backend whatever the scores, as long as that one may serve it.

Examples:
  edgeproxy explain 203.0.113.7
  edgeproxy explain 2001:db8::1 --listener game --json`,
  );
}

async function explain(ip: string, options: ExplainOptions): Promise<void> {
  const json = options.json ?? false;
  const address = parseAddress(ip);
  if (address === null) {
    const expected = 'expected IPv4 such as 203.0.113.7, or IPv6 such as 2001:db8::1';
    throw new EdgeError('EDGE_ERR_USAGE', `${ip.slice(0, 100) || "''"} is no IP address: ${expected}`);
  }
  const limit = options.limit ?? (json ? undefined : SHOWN);
  const query = new URLSearchParams({
    ip: address.text,
    ...(options.listener === undefined ? {} : { listener: options.listener }),
    ...(limit === undefined ? {} : { limit: String(limit) }),
  });
  const client = adminClient(options);
  const explanation = await askExplanation(client, query);
  show(json, explanation, () => describeExplanation(explanation));
}

async function askExplanation(client: AdminClient, query: URLSearchParams): Promise<ExplainAnswer> {
  const answer = await client.ask({ method: 'GET', path: `/api/v1/explain?${query}` });
  if (!isExplanation(answer)) throw client.misunderstood();
  return answer;
}

/** Told from other programs' answers, and other releases', by its parts; their insides are our own API's. */
function isExplanation(answer: unknown): answer is ExplainAnswer {
  return (
    isObject(answer) &&
    isObject(answer.listener) &&
    isObject(answer.choice) &&
    (answer.geo === null || isObject(answer.geo)) &&
    (answer.binding === null || isObject(answer.binding)) &&
    Array.isArray(answer.candidates) &&
    answer.candidates.every(isObject)
  );
}
