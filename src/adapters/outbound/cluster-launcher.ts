// Runs in: primary
import cluster, { type Worker } from 'node:cluster';
import type { Duplex } from 'node:stream';
import type { ListeningSocket } from '../../application/ports/listening-socket.ts';
import type { Log } from '../../application/ports/log.ts';
import type { WorkerEvents, WorkerLauncher, WorkerProcess } from '../../application/ports/worker-launcher.ts';
import { codeOf } from '../../errors.ts';
import { isLifecycleMessage, type PrimaryLifecycle } from '../../ipc/lifecycle.ts';

/** The primary's end of a worker's private channel, as far as a process's life goes. */
export interface Session {
  share(connections: number): void;
  /** Resolves with the number of connections that the worker's death cut. */
  processGone(patienceMs: number): Promise<number>;
}

export interface SessionEvents {
  readonly onWelcome: () => void;
  readonly onFailure: (reason: string) => void;
}

export interface ClusterLauncherOptions {
  /** The worker's entry file. */
  readonly exec: string;
  /** Environment beyond our own, for the worker of `incarnation`. */
  readonly env: (incarnation: number) => Record<string, string>;
  readonly sockets: readonly ListeningSocket[];
  readonly openSession: (incarnation: number, socket: Duplex, events: SessionEvents) => Session;
  /** Where workers' records go: one process writes the log, so that no line is torn. */
  readonly log: Log;
}

/** Where the private socketpair is among the child's descriptors: behind stdio and Node's own IPC. */
export const CHANNEL_FD = 4;

/** What a dead worker had still said is read by then: the bytes lie in our own kernel. In ms. */
const LAST_WORDS_MS = 250;

/** Starts workers with node:cluster and hands them the listening sockets. */
export class ClusterLauncher implements WorkerLauncher {
  readonly #options: ClusterLauncherOptions;

  constructor(options: ClusterLauncherOptions) {
    this.#options = options;
    // All three explicitly: node:cluster's defaults would run pm2's wrapper, with our own flags, in each worker.
    cluster.setupPrimary({
      exec: options.exec,
      args: [],
      execArgv: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
    });
  }

  launch(incarnation: number, events: WorkerEvents): WorkerProcess {
    const worker = cluster.fork(this.#options.env(incarnation));
    if (worker.process.pid === undefined) return notStarted(worker, events);
    let reason = '';
    const kill = (why: string) => {
      reason ||= why;
      worker.process.kill('SIGKILL');
    };
    const socket = worker.process.stdio[CHANNEL_FD] as Duplex;
    const session = this.#options.openSession(incarnation, socket, {
      onWelcome: () => this.#sendSockets(worker),
      onFailure: kill,
    });
    // A message to a worker that just died fails; its exit tells all there is to tell.
    worker.on('error', () => {});
    worker.on('message', (message: unknown) => {
      if (!isLifecycleMessage(message)) return;
      if (message.edgeproxy === 'accepting') events.accepting();
      else if (message.edgeproxy === 'retire') events.retiring();
      else if (message.edgeproxy === 'failed') reason ||= message.reason;
      else if (message.edgeproxy === 'reopen') this.#sendSockets(worker);
      else
        this.#options.log[message.level](
          { ...message.fields, incarnation, worker: worker.process.pid },
          message.message,
        );
    });
    worker.once('exit', (code, signal) => {
      void session.processGone(LAST_WORDS_MS).then((cut) => events.exited({ code, signal, reason, cut }));
    });
    return {
      pid: worker.process.pid,
      share: (connections) => session.share(connections),
      drain: () => send(worker, { edgeproxy: 'drain' }),
      kill,
    };
  }

  #sendSockets(worker: Worker): void {
    this.#options.sockets.forEach(({ handle }, listener) => {
      const last = listener === this.#options.sockets.length - 1;
      send(worker, { edgeproxy: 'listen', listener, last }, handle);
    });
  }
}

/** The system has no room for another process, or for its pipes: an exit before there was anything to exit. */
function notStarted(worker: Worker, events: WorkerEvents): WorkerProcess {
  worker.once('error', (error) => {
    events.exited({
      code: null,
      signal: null,
      reason: `could not be started: ${codeOf(error) || error.message}`,
      cut: 0,
    });
  });
  return { pid: 0, share: () => {}, drain: () => {}, kill: () => {} };
}

function send(worker: Worker, message: PrimaryLifecycle, handle?: unknown): void {
  if (!worker.isConnected()) return;
  // keepOpen: the primary's copy is what keeps the queue of clients alive. Types know no raw handles.
  worker.process.send(message, handle as undefined, { keepOpen: true }, () => {});
}
