// Runs in: primary
import { backendRoutes } from '../../adapters/inbound/admin-http/routes.ts';
import type { PrometheusMetrics } from '../../adapters/outbound/prometheus/prometheus-metrics.ts';
import { Aftermath } from '../../application/aftermath.ts';
import { ConnectionCaps } from '../../application/connection-caps.ts';
import { DialOutcomes } from '../../application/dial-outcomes.ts';
import { dialReasons } from '../../application/dial-reasons.ts';
import { explainPick } from '../../application/explain-pick.ts';
import type { Reasons } from '../../application/modules.ts';
import { pageOfBackends } from '../../application/page-backends.ts';
import { PickDesk } from '../../application/pick-desk.ts';
import type { AccessLog } from '../../application/ports/access-log.ts';
import { ProxyService } from '../../application/proxy-service.ts';
import { TellLacks } from '../../application/tell-lacks.ts';
import { within } from '../../application/within.ts';
import type { ConnectionLedger } from '../../domain/connection-ledger.ts';
import type { BindingsModule } from '../bindings/bindings.ts';
import type { GeoipModule } from '../geoip/geoip.ts';
import type { Base, Module } from '../module.ts';
import type { PortsModule } from '../ports/ports.ts';
import type { RoutingModule } from '../routing/routing.ts';

export interface BooksParts {
  readonly ledger: ConnectionLedger;
  readonly metrics: PrometheusMetrics;
  readonly accessLog: AccessLog;
  readonly geoip: GeoipModule;
  readonly ports: PortsModule;
  readonly bindings: BindingsModule;
  readonly routing: RoutingModule;
}

/** For the records of connections that were cut, of which there may be a hundred thousand. In ms. */
const RECORD_MS = 2000;

/** Who is served where: the picks, the slots, and what became of each connection. */
export class BooksModule implements Module {
  readonly name = 'books';
  readonly #base: Base;
  readonly #parts: BooksParts;
  readonly #aftermath: Aftermath;
  readonly #outcomes: DialOutcomes;
  service!: ProxyService;
  desk!: PickDesk;
  readonly caps: ConnectionCaps;
  readonly routes;

  constructor(base: Base, parts: BooksParts) {
    this.#base = base;
    this.#parts = parts;
    this.#aftermath = new Aftermath(parts.accessLog, base.boundary);
    this.#outcomes = new DialOutcomes(new TellLacks(base.log, base.clock));
    this.caps = new ConnectionCaps((incarnation) => this.heldBy(incarnation), base.boundary);
    const { routing, ports, ledger } = parts;
    this.routes = backendRoutes({
      listeners: () => ports.listeners,
      backends: (query, turn) => pageOfBackends(routing.state, ledger, query, turn),
      explain: (...asked) => explainPick({ service: this.service, ...this.#decisions() }, ...asked),
    });
  }

  start(): void {
    const { metrics, accessLog, ports } = this.#parts;
    const { boundary, clock } = this.#base;
    this.service = new ProxyService({
      ...this.#decisions(),
      listeners: ports.listeners,
      ...{ metrics, accessLog, boundary, outcomes: this.#outcomes },
      later: (work) => this.#aftermath.begin(work),
    });
    const heldBy = (incarnation: number) => this.heldBy(incarnation);
    this.desk = new PickDesk({ service: this.service, boundary, clock, heldBy });
  }

  /** Connections that workers' deaths cut get their records. */
  async drain(): Promise<void> {
    await within(RECORD_MS, this.#aftermath.settled());
  }

  cut(): Promise<void> {
    return this.drain();
  }

  stop(): void {}

  reasons(): Reasons {
    const { routing, ports } = this.#parts;
    return dialReasons(this.#outcomes, routing.state, ports.listeners, this.#base.clock.now());
  }

  /** Slots that a worker holds. */
  heldBy(incarnation: number): number {
    return this.#parts.ledger.heldBy(incarnation);
  }

  #decisions() {
    const { routing, ledger, bindings, geoip } = this.#parts;
    const { config, clock } = this.#base;
    const { resolver: geo } = geoip;
    return { routing: routing.state, ledger, bindings: bindings.table, geo, popRegion: config.popRegion, clock };
  }
}
