// Runs in: primary
import { probeRoutes, statusRoutes } from '../../adapters/inbound/admin-http/routes.ts';
import { type AdminServer, openAdminServer } from '../../adapters/inbound/admin-http/server.ts';
import type { PrometheusMetrics } from '../../adapters/outbound/prometheus/prometheus-metrics.ts';
import type { Modules } from '../../application/modules.ts';
import { type Readiness, readiness } from '../../application/readiness.ts';
import { type StatusSources, viewStatus } from '../../application/view-status.ts';
import { effectiveVariables } from '../../config.ts';
import type { ConnectionLedger } from '../../domain/connection-ledger.ts';
import type { BindingsModule } from '../bindings/bindings.ts';
import type { GeoipModule } from '../geoip/geoip.ts';
import type { Base, Module } from '../module.ts';
import type { PortsModule } from '../ports/ports.ts';
import type { RoutingModule } from '../routing/routing.ts';
import type { WorkersModule } from '../workers/workers.ts';

export interface AdminParts {
  /** What runs, and why this engine. */
  readonly build: Pick<ReturnType<StatusSources['identity']>, 'version' | 'node' | 'engine' | 'engineReason'>;
  readonly ledger: ConnectionLedger;
  readonly metrics: PrometheusMetrics;
  readonly geoip: GeoipModule;
  readonly ports: PortsModule;
  readonly routing: RoutingModule;
  readonly bindings: BindingsModule;
  readonly workers: WorkersModule;
  /** All of them, this one included. */
  readonly modules: () => Modules<Module>;
  readonly isStopping: () => boolean;
}

/** The admin API: its own probes and status, and what the modules serve there. */
export class AdminModule implements Module {
  readonly name = 'admin';
  readonly #base: Base;
  readonly #parts: AdminParts;
  #server: AdminServer | null = null;
  readonly routes;

  constructor(base: Base, parts: AdminParts) {
    this.#base = base;
    this.#parts = parts;
    const status = this.#statusSources();
    this.routes = [
      ...probeRoutes(
        () => this.#readiness(),
        () => parts.metrics.scrape(),
      ),
      ...statusRoutes((busiest, turn) => viewStatus(status, busiest, turn)),
    ];
  }

  async start(): Promise<void> {
    const { config, log, boundary } = this.#base;
    if (config.admin === null) return;
    this.#server = await openAdminServer({
      address: config.admin,
      token: config.adminToken,
      open: config.adminOpen.map((name) => `/${name}`),
      onDefect: (error) => boundary.failed('admin', error),
      routes: [...this.#parts.modules()].flatMap(({ routes = [] }) => routes),
    });
    log.info({ address: this.where }, 'admin API listening');
  }

  async stop(): Promise<void> {
    await this.#server?.close();
  }

  /** `127.0.0.1:8081`, `unix:/path`, or `off`. */
  get where(): string {
    return this.#server?.name ?? 'off';
  }

  #readiness(): Readiness {
    const { modules, isStopping, routing, workers } = this.#parts;
    const health = { routing: routing.health(), workers: workers.supervisor.health() };
    return readiness({ modules: modules(), stopping: isStopping(), ...health });
  }

  #statusSources(): StatusSources {
    const { build, ledger, metrics, geoip, ports, routing, bindings, workers } = this.#parts;
    const { popRegion: region } = this.#base.config;
    const configuration = effectiveVariables(process.env);
    return {
      identity: () => ({ ...build, pid: process.pid, region, listeners: ports.listeners, configuration }),
      admin: () => this.where,
      uptimeMs: () => process.uptime() * 1000,
      readiness: () => this.#readiness(),
      workers: () => workers.supervisor.list(),
      routing: routing.state,
      ledger,
      routingAge: () => routing.age(),
      databasePath: () => routing.databasePath(),
      accepted: () => metrics.acceptedTotal,
      refusals: () => metrics.refusals(),
      geoip: () => geoip.status(),
      bindings: () => bindings.status(),
    };
  }
}
