import type { ExplainedCandidate, Explanation as Paged } from '../../src/application/explain-pick.ts';
import type { PickReason } from '../../src/domain/entities.ts';
import type { LogRecord } from '../fixtures/proxy.ts';
import { until } from '../fixtures/until.ts';
import type { Stage } from './stage.ts';

type Explanation = Paged<readonly ExplainedCandidate[]>;

/** A visit that was foretold by the explain API and made. */
export interface ExplainedVisit {
  readonly client: string;
  readonly country: string | null;
  readonly backend: string;
  readonly why: PickReason;
  /** `why`, for people. */
  readonly reason: string;
}

/** Makes visits and holds the three that know about them against each other: explain API, backend, and access log. */
export class Visits {
  readonly #stage: Stage;
  readonly #unconfirmed: ExplainedVisit[] = [];
  readonly #used = new Set<LogRecord>();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** Asks where `address` would go, goes there, and leaves. Rejects when it was served by another backend. */
  async visit(address: string): Promise<ExplainedVisit> {
    const explanation = await this.#stage.proxy.get<Explanation>(`/api/v1/explain?ip=${address}`);
    const { backend: foretold, why } = explanation.choice;
    if (foretold === null) throw new Error(`explain says that ${address} would be turned away: ${why}`);
    const visitor = this.#stage.visitor(address);
    const backend = await visitor.get();
    visitor.leave();
    if (backend !== foretold) throw new Error(`explain foretold ${foretold} for ${address}, and ${backend} served it`);
    const country = explanation.geo?.country ?? null;
    const visit = { client: address, country, backend, why, reason: reasonOf(explanation) };
    this.#unconfirmed.push(visit);
    return visit;
  }

  /** Waits until the access log tells the same of every visit so far. */
  async confirm(): Promise<void> {
    for (const visit of this.#unconfirmed.splice(0)) {
      const tells = (record: LogRecord) =>
        !this.#used.has(record) &&
        record.client === visit.client &&
        record.backend === visit.backend &&
        record.why === visit.why &&
        record.country === visit.country;
      this.#used.add(await this.#stage.proxy.logged('connection', tells));
    }
  }

  /** Waits until the proxy's books show `count` connections on `backend`, or on all of them. */
  async connections(count: number, backend?: string): Promise<void> {
    await until(`${count} connections on ${backend ?? 'all backends'}`, async () => {
      const rows = await this.#stage.proxy.backends();
      const counted = rows.filter(({ id }) => backend === undefined || id === backend);
      return counted.reduce((sum, { connections }) => sum + connections, 0) === count;
    });
  }
}

function reasonOf({ choice, candidates, binding, geo, popRegion }: Explanation): string {
  const before = binding?.backend ?? '';
  if (choice.why === 'bound') return 'bound: it was served here before';
  const nearest = tierText();
  if (choice.why === 'overflow') return `overflow: ${before} is at its hard limit, this is ${nearest}`;
  if (choice.why === 'rebound') return `rebound: ${before} is disabled, this is ${nearest}`;
  return nearest;

  function tierText(): string {
    const chosen = candidates.find(({ id }) => id === choice.backend);
    if (chosen?.tier === 0) return 'same country';
    if (chosen?.tier === 1 && chosen.region === geo?.region) return `same region, ${chosen.region}`;
    if (chosen?.tier === 1) return `the region next to ${geo?.region}, ${chosen.region}`;
    if (chosen?.tier === 2) return `the proxy's own region, ${popRegion}`;
    return 'elsewhere';
  }
}
