// Runs in: worker. Its composition root: started by the primary through node:cluster, never by hand.
import '../src/adapters/inbound/early-signals.ts';
import { flushCompileCache } from 'node:module';
import net from 'node:net';
import { chooseEngine } from '../src/adapters/dataplane/choose-engine.ts';
import { EpollDataPlane } from '../src/adapters/dataplane/epoll/epoll-data-plane.ts';
import { loadAddon } from '../src/adapters/dataplane/epoll/load-addon.ts';
import { linkOver } from '../src/adapters/dataplane/epoll/native-link.ts';
import { StreamDataPlane } from '../src/adapters/dataplane/stream/stream-data-plane.ts';
import { ChannelPicker } from '../src/adapters/outbound/channel-picker.ts';
import { CHANNEL_FD } from '../src/adapters/outbound/cluster-launcher.ts';
import { primaryLog } from '../src/adapters/outbound/primary-log.ts';
import { ServeConnections } from '../src/application/serve-connections.ts';
import { messageOf } from '../src/errors.ts';
import { isPrimaryLifecycle, type PrimaryLifecycle, type WorkerLifecycle } from '../src/ipc/lifecycle.ts';
import { readListenerSpec } from '../src/ipc/listener-spec.ts';
import type { ListeningHandle } from '../src/ipc/listening-socket.ts';
import { readWorkerConfig, type WorkerConfig } from '../src/ipc/worker-config.ts';
import { INCARNATION_VARIABLE, PRIMARY_VARIABLE } from '../src/variable.ts';

// First of all: a worker without its primary serves nobody, and must not be left behind. Where the addon is, the kernel
// sees to it, which needs no turn of ours; elsewhere the channel's end does.
loadAddon().addon?.dieWithParent();
if (process.ppid !== Number(process.env[PRIMARY_VARIABLE])) process.exit(0);

const incarnation = Number(process.env[INCARNATION_VARIABLE]);
const log = primaryLog(tell);
const clock = { now: () => performance.now() };
process.title = `edgeproxy worker ${incarnation}`;

process.on('disconnect', () => process.exit(0));
process.on('uncaughtException', (error) => fail(messageOf(error), error));
// Signals to the whole process group (Ctrl-C, an init system's stop) are the primary's to act on.
for (const signal of ['SIGINT', 'SIGQUIT'] as const) process.on(signal, () => {});
process.on('SIGTERM', () => tell({ edgeproxy: 'retire' }));

/** A primary answers at once; one of another release may not know the question. In ms. */
const CONFIG_MS = 10_000;
const unconfigured = setTimeout(() => {
  fail('the primary sent no configuration: is it of another release? Stop and start the proxy to change the version');
}, CONFIG_MS);

let draining = false;
/** From its configuration on. */
let serving: Serving | null = null;

interface Serving {
  readonly config: WorkerConfig;
  readonly picker: ChannelPicker;
  readonly connections: ServeConnections;
}

process.on('message', (message: unknown, handle: unknown) => {
  if (!isPrimaryLifecycle(message)) return;
  if (message.edgeproxy === 'config') configure(message.version, message.config);
  // Nobody was accepted yet.
  else if (serving === null) process.exit(0);
  else if (message.edgeproxy === 'drain') drain(serving);
  else listen(serving, message, handle as ListeningHandle);
});
tell({ edgeproxy: 'loaded' });

function configure(version: unknown, given: unknown): void {
  clearTimeout(unconfigured);
  const config = readWorkerConfig(version, given);
  if (typeof config === 'string') fail(config);
  else serving = serve(config);
}

function serve(config: WorkerConfig): Serving {
  const picker = new ChannelPicker({
    link: linkOver(new net.Socket({ fd: CHANNEL_FD, readable: true, writable: true }), loadAddon().addon),
    incarnation,
    timeoutMs: config.heartbeatTimeoutMs,
    onHello: (denied) => {
      if (denied !== null) fail(`the primary turned this worker away: ${denied}`);
    },
    onCap: (cap) => connections.dataPlane.acceptBelow(cap),
    onSync: (round) => connections.sync(round),
    onLost: () => process.exit(0),
  });
  const { connectAttempts, engine, connectTimeoutMs, idleTimeoutMs } = config;
  const { halfCloseTimeoutMs, unackedTimeoutMs, maxConnections } = config;
  const timeouts = { connectTimeoutMs, idleTimeoutMs, halfCloseTimeoutMs, unackedTimeoutMs };
  const connections: ServeConnections = new ServeConnections(
    { picker, clock, connectAttempts, onIdle: () => draining && leave(picker) },
    (onEvents) => {
      const options = { ...timeouts, maxConnections, onEvents, onReopen: () => reopen(connections) };
      const choice = chooseEngine(engine, loadAddon);
      if (choice.engine === 'epoll') return new EpollDataPlane(options, choice.addon);
      return new StreamDataPlane(options, { lookAtWire: loadAddon().addon?.lookAtWire });
    },
  );
  return { config, picker, connections };
}

type Listen = Extract<PrimaryLifecycle, { edgeproxy: 'listen' }>;

/** What is answered in a millisecond or two as a rule. */
const REOPEN_MS = 1000;

let listening: Promise<void>[] = [];
function listen({ connections }: Serving, { listener, version, spec, last }: Listen, handle: ListeningHandle): void {
  // Asked for before the drain began.
  if (draining) {
    handle.close();
    return;
  }
  // They come one by one, each when the one before was received: a thousand take a while.
  reopening?.refresh();
  const known = readListenerSpec(version, spec);
  if (typeof known === 'string') {
    fail(known);
    return;
  }
  listening.push(connections.listen(handle, listener, known));
  if (!last) return;
  Promise.all(listening).then(accepting, notAccepting);
  listening = [];
}

let hasAccepted = false;
/** Also when it comes to accept again. */
function accepting(): void {
  stopReopening();
  tell({ edgeproxy: 'accepting' });
  // Node would write it at exit, which a worker that is killed never comes to; its successor starts twice as fast.
  if (!hasAccepted) flushCompileCache();
  hasAccepted = true;
}

function notAccepting(error: unknown): void {
  if (hasAccepted) log.warn({ reason: messageOf(error) }, 'cannot accept again yet');
  else fail(`cannot listen: ${messageOf(error)}`, error);
}

let reopening: NodeJS.Timeout | undefined;
/** Asks for the listening sockets until it accepts again: Node gives up on a handle that did not arrive some times. */
function reopen(connections: ServeConnections): void {
  if (draining) return;
  tell({ edgeproxy: 'reopen' });
  reopening = setTimeout(() => {
    // What came of them: all come again.
    connections.dataPlane.stopAccepting();
    reopen(connections);
  }, REOPEN_MS);
}

function stopReopening(): void {
  clearTimeout(reopening);
  reopening = undefined;
}

function drain({ config, picker, connections }: Serving): void {
  draining = true;
  stopReopening();
  connections.dataPlane.stopAccepting();
  if (connections.size === 0) {
    leave(picker);
    return;
  }
  setTimeout(async () => {
    const reset = await connections.cutAll();
    log.warn({ reset }, 'drain deadline: connections reset');
    tell({ edgeproxy: 'reset', connections: reset });
  }, config.shutdownTimeoutMs);
}

/** Everything is reported and nothing is open: goes once the last report is with the kernel. */
function leave(picker: ChannelPicker): void {
  picker.end(() => process.exit(0));
}

function fail(reason: string, error?: unknown): void {
  log.error({ reason, stack: error instanceof Error ? error.stack : undefined }, 'worker failed');
  tell({ edgeproxy: 'failed', reason }, () => process.exit(1));
}

function tell(message: WorkerLifecycle, then: () => void = () => {}): void {
  if (process.send === undefined || !process.connected) then();
  else process.send(message, undefined, undefined, then);
}
