// Runs in: primary
import { fileURLToPath } from 'node:url';
import { loadAddon } from '../../adapters/dataplane/epoll/load-addon.ts';
import { linkOver } from '../../adapters/dataplane/epoll/native-link.ts';
import { workerRoutes } from '../../adapters/inbound/admin-http/routes.ts';
import { WorkerSession } from '../../adapters/inbound/worker-session.ts';
import { ClusterLauncher } from '../../adapters/outbound/cluster-launcher.ts';
import { WorkerCode } from '../../adapters/outbound/worker-code.ts';
import type { Reasons } from '../../application/modules.ts';
import { counter, gauge, type Metric } from '../../application/ports/metric.ts';
import { WorkerSupervisor } from '../../application/supervise-workers.ts';
import { within } from '../../application/within.ts';
import { workerReasons } from '../../application/worker-reasons.ts';
import type { Config } from '../../config.ts';
import type { WorkerConfig } from '../../ipc/worker-config.ts';
import { INCARNATION_VARIABLE, PREFIX, PRIMARY_VARIABLE } from '../../variable.ts';
import type { BooksModule } from '../books/books.ts';
import type { Base, Module } from '../module.ts';
import type { PortsModule } from '../ports/ports.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** For killed workers to be gone. In ms. */
const KILL_MS = 1000;

/** The processes that serve. */
export class WorkersModule implements Module {
  readonly name = 'workers';
  readonly #books: BooksModule;
  readonly supervisor: WorkerSupervisor;
  #dropped = 0;
  readonly routes = workerRoutes(() => this.supervisor);
  readonly metrics: readonly Metric[] = [
    gauge('workers', 'Worker processes, by state', () => this.#states(), 'state'),
    gauge(
      'worker_crashes',
      'Worker deaths in a row that came too soon after a start, or too often',
      () => this.supervisor.health().crashes,
    ),
    counter('worker_deaths_total', 'Workers that died without having been asked to', () => this.supervisor.deaths),
    counter(
      'channel_dropped_total',
      'Messages from workers that were malformed or about nothing known',
      () => this.#dropped,
    ),
  ];

  constructor(base: Base, ports: PortsModule, books: BooksModule) {
    this.#books = books;
    const { config, log, clock, boundary } = base;
    const { caps } = books;
    const { addon } = loadAddon();
    const launcher = new ClusterLauncher({
      code: new WorkerCode(ROOT, log),
      env: (incarnation) => ({
        // What they serve by they are told, and what they need not know, the admin token above all, they do not have.
        ...Object.fromEntries(
          Object.keys(process.env)
            .filter((name) => name.startsWith(PREFIX))
            .map((name) => [name, undefined]),
        ),
        [INCARNATION_VARIABLE]: String(incarnation),
        [PRIMARY_VARIABLE]: String(process.pid),
      }),
      config: () => ({ ...workerConfig(config), maxConnections: ports.maxConnections }),
      sockets: () => ports.sockets,
      ...{ log, boundary },
      openSession: (incarnation, socket, events) =>
        new WorkerSession({
          ...{ link: linkOver(socket, addon), incarnation, service: books.service, desk: books.desk, boundary, clock },
          heartbeatTimeoutMs: config.heartbeatTimeoutMs,
          ...events,
          onBooked: () => caps.update(),
          onDropped: (count) => {
            this.#dropped += count;
          },
        }),
    });
    this.supervisor = new WorkerSupervisor({
      ...{ launcher, caps, clock, log, boundary, workers: config.workers },
      heldBy: (incarnation) => books.heldBy(incarnation),
      drainTimeoutMs: config.shutdownTimeoutMs,
    });
  }

  /** Resolves when as many as are desired accept, however long crashes delay that. */
  start(): Promise<void> {
    return this.supervisor.start();
  }

  drain(): Promise<void> {
    return this.supervisor.stop();
  }

  /** Their ends give the connections that they cut their records. */
  async cut(): Promise<void> {
    await within(KILL_MS, this.supervisor.killAll());
  }

  /** None is left after a drain, and of a start that failed there was none. */
  stop(): void {}

  reasons(): Reasons {
    return workerReasons(this.supervisor.health(), this.#books.desk.silent());
  }

  #states(): ReadonlyMap<string, number> {
    const { starting, serving, draining } = this.supervisor.health();
    return new Map(Object.entries({ starting, serving, draining }));
  }
}

function workerConfig(config: Config): Omit<WorkerConfig, 'maxConnections'> {
  const { engine, connectTimeoutMs, connectAttempts, idleTimeoutMs, halfCloseTimeoutMs } = config;
  const { unackedTimeoutMs, shutdownTimeoutMs, heartbeatTimeoutMs } = config;
  const timeouts = { connectTimeoutMs, idleTimeoutMs, halfCloseTimeoutMs, unackedTimeoutMs };
  return { engine, connectAttempts, ...timeouts, shutdownTimeoutMs, heartbeatTimeoutMs };
}
