// Runs in: primary
import { networkInterfaces } from 'node:os';
import { resolve } from 'node:path';
import { routingRoutes } from '../../adapters/inbound/admin-http/routes.ts';
import { ensureDatabase } from '../../adapters/outbound/sqlite/ensure-database.ts';
import { realPathOrNull } from '../../adapters/outbound/sqlite/file-id.ts';
import { ownEndpoints } from '../../adapters/outbound/sqlite/own-endpoints.ts';
import { SqliteBackendRepository } from '../../adapters/outbound/sqlite/sqlite-backend-repository.ts';
import { counter, gauge, type Metric } from '../../application/ports/metric.ts';
import {
  type AskedLook,
  ReloadRouting,
  type RoutingAge,
  type RoutingHealth,
} from '../../application/reload-routing.ts';
import { routingReasons } from '../../application/routing-reasons.ts';
import type { RoutingState } from '../../application/routing-state.ts';
import type { Base, Module } from '../module.ts';
import type { PortsModule } from '../ports/ports.ts';

/** The routing table, and the database that it follows. */
export class RoutingModule implements Module {
  readonly name = 'routing';
  readonly #base: Base;
  readonly #ports: PortsModule;
  readonly state: RoutingState;
  #reload!: ReloadRouting;
  readonly routes = routingRoutes(async () => ({ ...(await this.look()), path: await this.databasePath() }));
  readonly metrics: readonly Metric[] = [
    gauge('routing_version', 'Version of the routing table that serves', () => this.state.table.version),
    gauge('routing_backends', 'Rows of the routing table that serves', () => this.state.table.size),
    gauge('routing_bad_rows', 'Rows that the last load skipped', () => this.health().badRows),
    gauge('routing_stale', '1 while the routing database cannot be loaded and the last good table serves', () =>
      Number(this.health().error !== ''),
    ),
    counter('routing_loads_total', 'Loads of the routing database', () => this.health().loads),
    counter('routing_load_failures_total', 'Looks at the routing database that failed', () => this.health().failures),
  ];

  constructor(base: Base, ports: PortsModule, state: RoutingState) {
    this.#base = base;
    this.#ports = ports;
    this.state = state;
  }

  async start(): Promise<void> {
    const { config, log, clock, boundary } = this.#base;
    ensureDatabase(config.dbPath);
    const { listeners } = this.#ports;
    const own = config.admin?.kind === 'tcp' ? [...listeners, config.admin] : listeners;
    const repository = new SqliteBackendRepository({
      path: config.dbPath,
      ownEndpoints: () => ownEndpoints(own, networkInterfaces()),
    });
    this.#reload = new ReloadRouting({ repository, routing: this.state, log, clock, boundary });
    await this.#reload.look();
    this.#reload.every(config.dbReloadMs);
  }

  stop(): Promise<void> {
    return this.#reload.stop();
  }

  reasons() {
    return routingReasons(this.state, this.#ports.listeners, this.health());
  }

  health(): RoutingHealth {
    return this.#reload.health();
  }

  age(): RoutingAge {
    return this.#reload.age();
  }

  /** Looks at the database now. */
  look(): Promise<AskedLook> {
    return this.#reload.lookNow();
  }

  /** Absolute, symbolic links resolved as far as there is a file. */
  async databasePath(): Promise<string> {
    const { dbPath } = this.#base.config;
    return (await realPathOrNull(dbPath).catch(() => null)) ?? resolve(dbPath);
  }
}
