// Runs in: primary. Its composition root: configuration in, running proxy out.
import { flushCompileCache } from 'node:module';
import packageJson from '../package.json' with { type: 'json' };
import { chooseEngine } from './adapters/dataplane/choose-engine.ts';
import { loadAddon } from './adapters/dataplane/epoll/load-addon.ts';
import { leave } from './adapters/outbound/end-process.ts';
import { type Logs, openLogs } from './adapters/outbound/log/pino-log.ts';
import { PrometheusMetrics } from './adapters/outbound/prometheus/prometheus-metrics.ts';
import { InternalErrors } from './application/internal-errors.ts';
import { Modules } from './application/modules.ts';
import { RoutingState } from './application/routing-state.ts';
import { sayHowToAdd } from './application/say-how-to-add.ts';
import { END_MS, StopProxy } from './application/stop-proxy.ts';
import { type Config, readConfig, unknownVariables } from './config.ts';
import { ConnectionLedger } from './domain/connection-ledger.ts';
import { EdgeError, messageOf } from './errors.ts';
import { AdminModule } from './modules/admin/admin.ts';
import { BindingsModule } from './modules/bindings/bindings.ts';
import { BooksModule } from './modules/books/books.ts';
import { GeoipModule } from './modules/geoip/geoip.ts';
import { LogModule } from './modules/log/log.ts';
import type { Module } from './modules/module.ts';
import { PortsModule } from './modules/ports/ports.ts';
import { ProcessModule } from './modules/process/process.ts';
import { RoutingModule } from './modules/routing/routing.ts';
import { WorkersModule } from './modules/workers/workers.ts';

/** Runs the proxy until a signal ends the process. */
export async function runPrimary(): Promise<void> {
  let logs: Logs | null = null;
  try {
    const config = readConfig(process.env);
    logs = openLogs({ debug: config.debug, isoTime: config.logIsoTime });
    const unknown = unknownVariables(process.env);
    if (unknown.length > 0) logs.log.warn({ variables: unknown }, 'unknown variables are ignored; are they misspelt?');
    await startPrimary(config, logs);
  } catch (error) {
    await refuseToStart(error, logs);
  }
}

export async function refuseToStart(error: unknown, logs: Logs | null): Promise<void> {
  const failure =
    error instanceof EdgeError ? error : new EdgeError('EDGE_ERR_INTERNAL', messageOf(error), { cause: error });
  const detail = failure.code === 'EDGE_ERR_INTERNAL' && error instanceof Error ? `\n${error.stack}` : '';
  process.stderr.write(`edgeproxy: ${failure.message}${detail}\n`);
  if (logs === null) process.exit(failure.exitCode);
  await leave(logs, failure.exitCode, true);
}

/** Throws what refuses the start. */
async function startPrimary(config: Config, logs: Logs): Promise<void> {
  const { log, accessLog } = logs;
  const clock = { now: () => performance.now() };
  const boundary = new InternalErrors(log, clock);
  const base = { config, log, clock, boundary };
  const { engine, why: engineReason } = chooseEngine(config.engine, loadAddon);
  const build = { version: packageJson.version, node: process.version, engine };

  const ledger = new ConnectionLedger();
  const state = new RoutingState(ledger, config.listeners);
  const metrics = new PrometheusMetrics({
    build,
    table: () => state.table,
    connections: ledger,
    active: () => ledger.total,
    metrics: () => [...modules].flatMap(({ metrics: own = [] }) => own),
  });

  const geoip = new GeoipModule(base);
  const ports = new PortsModule(base);
  const routing = new RoutingModule(base, ports, state);
  const bindings = new BindingsModule(base);
  const books = new BooksModule(base, { ledger, metrics, accessLog, geoip, ports, bindings, routing });
  const workers = new WorkersModule(base, ports, books);
  const parts = { ledger, metrics, geoip, ports, routing, bindings, workers };
  const admin = new AdminModule(base, {
    ...parts,
    build: { ...build, engineReason },
    modules: () => modules,
    isStopping: () => stop.isStopping,
  });

  // They start in this order, each when the one before it serves, and stop in reverse.
  const modules = new Modules<Module>(
    [
      new LogModule(logs, boundary),
      geoip,
      ports,
      routing,
      bindings,
      books,
      new ProcessModule(base, { ...parts, stop: () => stop }),
      admin,
      workers,
    ],
    boundary,
  );
  const stop = new StopProxy({
    ...{ modules, log, connections: () => ledger.total },
    ...{ lameDuckMs: config.lameDuckMs, drainTimeoutMs: config.shutdownTimeoutMs },
    leave: (exitCode, isIdle) => void leave(logs, exitCode, isIdle),
  });
  if (!(await modules.start(END_MS))) return;

  log.info(
    {
      listeners: ports.listeners.map(({ name, app }) => (app === '' ? name : `${name}=${app}`)),
      admin: admin.where,
      region: config.popRegion,
      engine,
      engineReason,
      workers: config.workers,
      backends: state.table.size,
      node: process.version,
    },
    'ready',
  );
  if (state.table.size === 0 && routing.health().error === '') sayHowToAdd(log, config.dbPath);
  flushCompileCache();
  // Nobody may be there any more to hear it.
  process.send?.('ready', undefined, undefined, () => {});
}
