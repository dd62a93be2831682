// Runs in: cli
import type { Command } from 'commander';
import type { ExplainedCandidate } from '../application/explain-pick.ts';
import { EdgeError } from '../errors.ts';
import { parseAddress } from '../ip-address.ts';
import { type AdminClient, isObject } from './admin-client.ts';
import { ADMIN_NOTE, type AdminOptions, addAdminOptions, adminClient } from './admin-options.ts';
import { wholeNumberIn } from './arguments.ts';
import { describeError, errorText, isErrorName } from './error-text.ts';
import { describeExplanation, type ExplainAnswer } from './explain-text.ts';
import { screenWidth, show } from './output.ts';

interface ExplainOptions extends AdminOptions {
  readonly listener?: string;
  readonly limit?: number;
}

/** Candidates that a person wants to see. */
const SHOWN = 20;
/** Candidates that the API gives in one answer. */
const PAGE = 10_000;
/** Those that it gives when it is not told how many. */
const DEFAULT_LIMIT = 1000;

export function addExplain(program: Command): void {
  const command = program
    .command('explain')
    .argument('<ip>', "the client's address, IPv4 or IPv6; or the code of an error, EDGE_ERR_...")
    .description(
      'show which backend a client would get now and why, with the score of every candidate; changes nothing. Or say ' +
        'what the code of an error means and what to do about it',
    )
    .option('--listener <name>', 'the listener that it comes to, by address or app (default: the first one)')
    .option(
      '--limit <n>',
      `candidates shown at most, the best first (default: ${SHOWN}, with --json ${DEFAULT_LIMIT})`,
      wholeNumberIn(1, 1_000_000),
    )
    .action(explain);
  addAdminOptions(command).addHelpText(
    'after',
    `
${ADMIN_NOTE}

Score = tier * 100 + connections / soft limit / weight; the lowest wins, and no
load carries a backend into the next tier. Tiers: 0 the client's country, 1 its
region, 2 the POP's region, 3 elsewhere. A client with a binding stays with its
backend whatever the scores, as long as that one may serve it.

Examples:
  edgeproxy explain 200.160.0.8
  edgeproxy explain 2001:12ff:0:4::22 --listener game --json
  edgeproxy explain EDGE_ERR_PROTOCOL`,
  );
}

async function explain(ip: string, options: ExplainOptions): Promise<void> {
  const json = options.json ?? false;
  if (isErrorName(ip)) {
    const text = errorText(ip);
    show(json, text, () => describeError(text, screenWidth()));
    return;
  }
  const address = parseAddress(ip);
  if (address === null) {
    const expected = 'expected IPv4 such as 200.160.0.8, or IPv6 such as 2001:12ff:0:4::22';
    throw new EdgeError('EDGE_ERR_USAGE', `${ip.slice(0, 100) || "''"} is no IP address: ${expected}`);
  }
  const limit = options.limit ?? (json ? DEFAULT_LIMIT : SHOWN);
  const query = new URLSearchParams({
    ip: address.text,
    ...(options.listener === undefined ? {} : { listener: options.listener }),
  });
  const client = adminClient(options);
  const explanation = await askExplanation(client, query, limit);
  show(json, explanation, () => describeExplanation(explanation));
}

/** The first `limit` candidates, page by page; all else is as the first page has it. */
async function askExplanation(client: AdminClient, query: URLSearchParams, limit: number): Promise<ExplainAnswer> {
  const candidates: ExplainedCandidate[] = [];
  let first: ExplainAnswer | null = null;
  for (;;) {
    query.set('limit', String(Math.min(PAGE, limit - candidates.length)));
    const page = await client.ask({ method: 'GET', path: `/api/v1/explain?${query}` });
    if (!isExplanation(page)) throw client.misunderstood();
    const { omitted, next } = page;
    candidates.push(...page.candidates);
    first ??= page;
    if (next === null || candidates.length >= limit) return { ...first, omitted, next, candidates };
    query.set('after', next);
  }
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
    answer.candidates.every(isObject) &&
    (answer.next === null || typeof answer.next === 'string')
  );
}
