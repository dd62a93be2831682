// Runs in: cli
import type { ExplainedCandidate, Explanation } from '../application/explain-pick.ts';
import type { PickReason, RefusalReason } from '../domain/entities.ts';
import type { ExclusionReason } from '../domain/services/load-balancer.ts';
import { formatEndpoint } from '../ip-address.ts';
import { placeOf } from './backend-text.ts';
import { type Block, count } from './output.ts';
import { NOTHING, type Table } from './table.ts';

/** As the API answers: the candidates cut short, and how many were left out. */
export type ExplainAnswer = Explanation<readonly ExplainedCandidate[]>;

/** An explanation for people: who, from where, what and why, and then every candidate. */
export function describeExplanation(explanation: ExplainAnswer): readonly Block[] {
  const { client, listener, candidates, omitted, routingVersion } = explanation;
  const { name, app } = listener;
  return [
    `client    ${client}, ${describePlace(explanation)}`,
    `listener  ${name}${app === '' ? ', any app' : `, app ${app}`}; routing table ${routingVersion}`,
    `binding   ${describeBinding(explanation)}`,
    `choice    ${describeChoice(explanation)}`,
    '',
    ...(candidates.length > 0
      ? [candidatesTable(explanation)]
      : ['no backends in the routing table: add one with "edgeproxy backends add"']),
    ...(omitted > 0 ? [`and ${omitted} more: --limit ${candidates.length + omitted} shows them`] : []),
  ];
}

function describePlace({ geo, preferredRegion, popRegion }: ExplainAnswer): string {
  if (geo === null) return `country unknown: the POP's region ${popRegion} is preferred`;
  const place = `country ${geo.country}, region ${geo.region}`;
  if (preferredRegion === geo.region) return place;
  return preferredRegion === null
    ? `${place} (no backend serves there or in its neighbours)`
    : `${place} (no backend serves there: its neighbour ${preferredRegion} stands in)`;
}

function describeBinding({ binding }: ExplainAnswer): string {
  if (binding === null) return 'none';
  const { backend, ageMs, idleMs, openConnections } = binding;
  const activity =
    openConnections > 0 ? `${count(openConnections, 'connection')} of the client open` : `idle for ${duration(idleMs)}`;
  return `${backend}, for ${duration(ageMs)}, ${activity}`;
}

function describeChoice({ choice }: ExplainAnswer): string {
  return choice.backend === null
    ? `refused: ${REFUSAL_TEXT[choice.why] ?? choice.why}`
    : `${choice.backend}: ${PICK_TEXT[choice.why] ?? choice.why}`;
}

function candidatesTable({ candidates, choice }: ExplainAnswer): Table {
  return {
    head: ['', 'BACKEND', 'APP', 'PLACE', 'ADDRESS', 'TIER', 'CONNS', 'SOFT', 'HARD', 'WEIGHT', 'SCORE', 'EXCLUDED'],
    rows: candidates.map((candidate) => [
      candidate.id === choice.backend ? '*' : '',
      candidate.id,
      candidate.app || NOTHING,
      placeOf(candidate),
      formatEndpoint(candidate.wg_ip, candidate.port),
      TIER_TEXT[candidate.tier] ?? candidate.tier,
      candidate.connections,
      candidate.soft_limit,
      candidate.hard_limit || NOTHING,
      candidate.weight,
      scoreText(candidate),
      candidate.excluded === null ? NOTHING : (EXCLUSION_TEXT[candidate.excluded] ?? candidate.excluded),
    ]),
    // `backends list` tells what is left out here; what the score is made of goes last.
    spare: ['ADDRESS', 'APP', 'WEIGHT', 'HARD', 'SOFT'],
  };
}

/** The tier's hundred and the load behind it: `100 + 0.25`. */
function scoreText({ tier, load }: ExplainedCandidate): string {
  return load === null ? NOTHING : `${tier * 100} + ${shortNumber(load)}`;
}

/** At most four significant digits: `0.001333`, `12.5`. */
function shortNumber(number: number): string {
  return String(Number(number.toPrecision(4)));
}

/** A duration as people say it, in its largest two units: `45 s`, `3 min 20 s`, `2 h 5 min`, `4 d 1 h`. */
export function duration(ms: number): string {
  const secs = Math.floor(ms / 1000);
  const parts = [
    [Math.floor(secs / 86_400), 'd'],
    [Math.floor(secs / 3600) % 24, 'h'],
    [Math.floor(secs / 60) % 60, 'min'],
    [secs % 60, 's'],
  ] as const;
  const first = parts.findIndex(([number]) => number > 0);
  if (first < 0) return '0 s';
  const shown = parts.slice(first, first + 2).filter(([number]) => number > 0);
  return shown.map(([number, unit]) => `${number} ${unit}`).join(' ');
}

const TIER_TEXT = ['country', 'region', 'POP', 'elsewhere'] as const;

const PICK_TEXT: Readonly<Record<PickReason, string>> = {
  bound: 'its binding',
  picked: 'the lowest score',
  rebound: "the lowest score; its binding's backend is unhealthy or gone, so it is bound anew",
  overflow: "the lowest score for this connection; its binding's backend is at its hard limit, and the binding stays",
  retried: 'the lowest score after a failed attempt',
};

const REFUSAL_TEXT: Readonly<Partial<Record<RefusalReason, string>>> = {
  no_backend: 'no backend of this app is enabled',
  all_full: 'every backend that is enabled is at its hard limit',
};

const EXCLUSION_TEXT: Readonly<Record<ExclusionReason, string>> = {
  other_app: 'other app',
  deleted: 'removed',
  unhealthy: 'disabled',
  draining: 'draining',
  at_hard_limit: 'at its limit',
  tried: 'failed',
};
