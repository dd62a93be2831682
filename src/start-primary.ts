// Runs in: primary. Its composition root: configuration in, running proxy out.
import { flushCompileCache } from 'node:module';
import { networkInterfaces } from 'node:os';
import { resolve } from 'node:path';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';
import packageJson from '../package.json' with { type: 'json' };
import { chooseEngine } from './adapters/dataplane/choose-engine.ts';
import { loadAddon } from './adapters/dataplane/epoll/load-addon.ts';
import { type AdminServer, openAdminServer } from './adapters/inbound/admin-http/server.ts';
import { wireSignals } from './adapters/inbound/signals.ts';
import { WorkerSession } from './adapters/inbound/worker-session.ts';
import { ClusterLauncher } from './adapters/outbound/cluster-launcher.ts';
import {
  connectionBudget,
  descriptorLimit,
  FEW_CONNECTIONS,
  isFew,
  requireDescriptors,
} from './adapters/outbound/descriptor-limit.ts';
import { leave } from './adapters/outbound/end-process.ts';
import { claimAddresses } from './adapters/outbound/listening-sockets/claim-addresses.ts';
import { type Logs, openLogs } from './adapters/outbound/log/pino-log.ts';
import { bundledGeoipPath } from './adapters/outbound/maxmind/bundled.ts';
import { MaxmindGeoResolver } from './adapters/outbound/maxmind/maxmind-geo-resolver.ts';
import { MemoryBindings } from './adapters/outbound/memory-bindings/memory-bindings.ts';
import { PrometheusMetrics } from './adapters/outbound/prometheus/prometheus-metrics.ts';
import { ensureDatabase } from './adapters/outbound/sqlite/ensure-database.ts';
import { realPathOrNull } from './adapters/outbound/sqlite/file-id.ts';
import { ownEndpoints } from './adapters/outbound/sqlite/own-endpoints.ts';
import { SqliteBackendRepository } from './adapters/outbound/sqlite/sqlite-backend-repository.ts';
import { WorkerCode } from './adapters/outbound/worker-code.ts';
import { Aftermath } from './application/aftermath.ts';
import { ConnectionCaps } from './application/connection-caps.ts';
import { DialOutcomes } from './application/dial-outcomes.ts';
import { explainPick } from './application/explain-pick.ts';
import { InternalErrors } from './application/internal-errors.ts';
import { pageOfBackends } from './application/page-backends.ts';
import { PickDesk } from './application/pick-desk.ts';
import { type ConnectionLease, ProxyService } from './application/proxy-service.ts';
import { readiness } from './application/readiness.ts';
import { ReloadRouting } from './application/reload-routing.ts';
import { rollAndTell } from './application/roll-workers.ts';
import { RoutingState } from './application/routing-state.ts';
import { sayHowToAdd } from './application/say-how-to-add.ts';
import { StopProxy } from './application/stop-proxy.ts';
import { WorkerSupervisor } from './application/supervise-workers.ts';
import { sweepBindings } from './application/sweep-bindings.ts';
import { TellLacks } from './application/tell-lacks.ts';
import { viewStatus } from './application/view-status.ts';
import { WatchGeoip } from './application/watch-geoip.ts';
import {
  type Config,
  effectiveVariables,
  INCARNATION_VARIABLE,
  PRIMARY_VARIABLE,
  readConfig,
  unknownVariables,
} from './config.ts';
import { ConnectionLedger } from './domain/connection-ledger.ts';
import { nearestWorkerCount } from './domain/worker-count.ts';
import { EdgeError, messageOf } from './errors.ts';

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
  const { engine, why } = chooseEngine(config.engine, loadAddon);
  const geo = await MaxmindGeoResolver.open(config.geoipPath ?? bundledGeoipPath(), (problem) => {
    log.warn({ reason: problem }, 'GeoIP database damaged');
  });
  requireDescriptors(descriptorLimit(), config.listeners.length);
  const connections = connectionBudget(descriptorLimit(), config.listeners.length);
  if (isFew(connections)) log.warn({ connections }, FEW_CONNECTIONS);
  const sockets = claimAddresses(config);
  ensureDatabase(config.dbPath);
  const listeners = sockets.map(({ listener }) => listener);
  const adminEndpoints = config.admin?.kind === 'tcp' ? [config.admin] : [];

  const ledger = new ConnectionLedger<ConnectionLease>();
  const bindings = new MemoryBindings({ ttlMs: config.bindingTtlMs, maxBindings: config.maxBindings });
  const routing = new RoutingState(ledger);
  const repository = new SqliteBackendRepository({
    path: config.dbPath,
    listeners,
    ownEndpoints: () => ownEndpoints([...listeners, ...adminEndpoints], networkInterfaces()),
  });
  const reload = new ReloadRouting({ repository, routing, log, clock, boundary });
  const databasePath = async () => (await realPathOrNull(config.dbPath).catch(() => null)) ?? resolve(config.dbPath);
  const watchGeoip = new WatchGeoip(geo, log, boundary);

  let droppedMessages = 0;
  const build = { version: packageJson.version, node: process.version, engine };
  const metrics = new PrometheusMetrics({
    build,
    table: () => routing.table,
    geoipAgeSeconds: () => geo.ageSeconds,
    connections: () => ledger.counts(),
    internalErrors: () => boundary.counts(),
    workers: () => supervisor.health(),
    gauges: () => ({
      connections_active: ledger.total,
      bindings: bindings.size,
      routing_version: routing.table.version,
      routing_backends: routing.table.size,
      routing_bad_rows: reload.health().badRows,
      routing_stale: reload.health().error === '' ? 0 : 1,
      worker_crashes: supervisor.health().crashes,
    }),
    counters: () => ({
      bindings_evicted_total: bindings.evictions,
      routing_loads_total: reload.health().loads,
      routing_load_failures_total: reload.health().failures,
      worker_deaths_total: supervisor.deaths,
      channel_dropped_total: droppedMessages,
      log_dropped_total: logs.dropped(),
    }),
  });
  const decisions = { routing, ledger, bindings, geo, popRegion: config.popRegion, clock };
  const outcomes = new DialOutcomes(new TellLacks(log, clock));
  const aftermath = new Aftermath(accessLog, boundary);
  const later = (work: Generator<void, void>) => aftermath.begin(work);
  const service = new ProxyService({ ...decisions, listeners, metrics, accessLog, boundary, outcomes, later });

  const desk = new PickDesk({ service, boundary, clock, heldBy: (incarnation) => ledger.heldBy(incarnation) });
  const caps = new ConnectionCaps((incarnation) => ledger.heldBy(incarnation), boundary);
  const launcher = new ClusterLauncher({
    code: new WorkerCode(fileURLToPath(new URL('..', import.meta.url)), log),
    env: (incarnation) => ({
      [INCARNATION_VARIABLE]: String(incarnation),
      [PRIMARY_VARIABLE]: String(process.pid),
    }),
    sockets,
    log,
    boundary,
    openSession: (incarnation, socket, events) =>
      new WorkerSession({
        socket,
        incarnation,
        service,
        desk,
        boundary,
        heartbeatTimeoutMs: config.heartbeatTimeoutMs,
        ...events,
        onBooked: () => caps.update(),
        onDropped: (count) => {
          droppedMessages += count;
        },
      }),
  });
  const supervisor = new WorkerSupervisor({
    launcher,
    caps,
    clock,
    log,
    boundary,
    workers: config.workers,
    heldBy: (incarnation) => ledger.heldBy(incarnation),
    drainTimeoutMs: config.shutdownTimeoutMs,
  });

  await reload.look();
  reload.every(config.dbReloadMs);
  watchGeoip.every(config.dbReloadMs);
  const sweeps = sweepBindings(bindings, clock, boundary, config.bindingGcIntervalMs);

  let admin: AdminServer | null = null;
  const stop = new StopProxy({
    supervisor,
    log,
    boundary,
    drainTimeoutMs: config.shutdownTimeoutMs,
    connections: () => ledger.total,
    closePorts: () => {
      for (const { handle } of sockets) handle.close();
    },
    recorded: () => aftermath.settled(),
    close: () => Promise.all([sweeps.stop(), reload.stop(), watchGeoip.stop(), admin?.close()]),
    leave: (exitCode, isIdle) => void leave(logs, exitCode, isIdle),
  });
  wireSignals(
    { boundary, clock, source: process, isTerminal: isatty(1) },
    {
      roll: () => rollAndTell(supervisor, log),
      reload: () => Promise.all([reload.lookNow(), watchGeoip.look()]),
      scaleBy: (change) => {
        if (!stop.isStopping) supervisor.scale(nearestWorkerCount(supervisor.desired + change));
      },
      stop: (signal) => stop.drain(signal),
      stopAtOnce: (signal) => stop.atOnce(signal),
    },
  );

  if (config.admin !== null) {
    const ready = () =>
      readiness({
        ...{ routing, listeners, dials: outcomes, silent: desk.silent(), now: clock.now() },
        ...{ health: reload.health(), workers: supervisor.health(), stopping: stop.isStopping },
        ...{ geoip: watchGeoip.failure, lostLines: logs.lostLately() },
      });
    const status = {
      identity: {
        ...build,
        engineReason: why,
        pid: process.pid,
        region: config.popRegion,
        listeners,
        configuration: effectiveVariables(process.env),
      },
      admin: () => admin?.name ?? 'off',
      uptimeMs: () => process.uptime() * 1000,
      readiness: ready,
      workers: () => supervisor.list(),
      routing,
      ledger,
      routingAge: () => reload.age(),
      databasePath,
      accepted: () => metrics.acceptedTotal,
      refusals: () => metrics.refusals(),
      geoip: () => ({ path: resolve(geo.path), bundled: config.geoipPath === null, ageSeconds: geo.ageSeconds }),
      bindings: () => ({
        count: bindings.size,
        max: config.maxBindings,
        evicted: bindings.evictions,
        ttlMs: config.bindingTtlMs,
      }),
    };
    admin = await openAdminServer({
      address: config.admin,
      token: config.adminToken,
      open: config.adminOpen.map((name) => `/${name}`),
      onDefect: (error) => boundary.failed('admin', error),
      routes: {
        listeners,
        readiness: ready,
        metrics: () => metrics.scrape(),
        backends: (query, turn) => pageOfBackends(routing, ledger, query, turn),
        status: (busiest, turn) => viewStatus(status, busiest, turn),
        look: async () => ({ ...(await reload.lookNow()), path: await databasePath() }),
        workers: () => supervisor.list(),
        drains: () => supervisor.drains(),
        explain: (...asked) => explainPick({ service, ...decisions }, ...asked),
        roll: () => supervisor.roll(),
        scale: (count) => supervisor.scale(count),
      },
    });
    log.info({ address: admin.name }, 'admin API listening');
  }
  // What comes here is a callback of Node's or a library's, about one descriptor or process, beside all turns of ours: the
  // books are not touched by it, and to end would cut every connection of the POP for it. Before, it refuses the start.
  process.on('uncaughtException', (error) => boundary.failed('unexpected', error));
  await supervisor.start();
  log.info(
    {
      listeners: listeners.map(({ name, app }) => (app === '' ? name : `${name}=${app}`)),
      admin: admin?.name ?? 'off',
      region: config.popRegion,
      engine,
      engineReason: why,
      workers: config.workers,
      backends: routing.table.size,
      node: process.version,
    },
    'ready',
  );
  if (routing.table.size === 0 && reload.health().error === '') sayHowToAdd(log, config.dbPath);
  flushCompileCache();
  // Nobody may be there any more to hear it.
  process.send?.('ready', undefined, undefined, () => {});
}
