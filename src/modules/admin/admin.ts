// Runs in: primary
import { probeRoutes, type Scrape, statusRoutes } from '../../adapters/inbound/admin-http/routes.ts';
import { type AdminServer, openAdminServer } from '../../adapters/inbound/admin-http/server.ts';
import type { Readiness } from '../../application/readiness.ts';
import { type StatusSources, viewStatus } from '../../application/view-status.ts';
import type { Base, Module } from '../module.ts';

export interface AdminParts {
  readonly readiness: () => Readiness;
  readonly scrape: Scrape;
  readonly status: Omit<StatusSources, 'admin' | 'readiness'>;
  /** All of them, itself included. */
  readonly modules: () => Iterable<Module>;
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
    const { readiness, scrape, status } = parts;
    this.routes = [
      ...probeRoutes(readiness, scrape),
      ...statusRoutes((busiest, turn) => viewStatus({ ...status, admin: () => this.where, readiness }, busiest, turn)),
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
}
