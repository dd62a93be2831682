// Runs in: primary
import cluster, { type Worker } from 'node:cluster';
import type { Duplex } from 'node:stream';
import type { Boundary } from '../../application/ports/boundary.ts';
import type { Log } from '../../application/ports/log.ts';
import type {
  WorkerEvents,
  WorkerExit,
  WorkerLauncher,
  WorkerProcess,
} from '../../application/ports/worker-launcher.ts';
import { codeOf, messageOf } from '../../errors.ts';
import { isLifecycleMessage, type PrimaryLifecycle } from '../../ipc/lifecycle.ts';
import { SPEC_VERSION } from '../../ipc/listener-spec.ts';
import type { ListeningSocket } from '../../ipc/listening-socket.ts';
import { CONFIG_VERSION, type WorkerConfig } from '../../ipc/worker-config.ts';

/** The primary's end of a worker's private channel, as far as a process's life goes. */
export interface Session {
  cap(connections: number): void;
  /** Resolves with the number of connections that the worker's death cut. */
  processGone(patienceMs: number): Promise<number>;
}

export interface SessionEvents {
  readonly onWelcome: () => void;
  readonly onFailure: (reason: string) => void;
}

/** Where workers are started from. */
export interface WorkerFiles {
  /** The entry file. `fresh`: of what is on disk now; else of what the workers run. */
  entry(fresh: boolean): string;
  takeUp(): void;
  readonly isOther: boolean;
}

export interface ClusterLauncherOptions {
  readonly code: WorkerFiles;
  /** What the environment of the worker of `incarnation` has beside our own, or else than it; `undefined`: not. */
  readonly env: (incarnation: number) => Readonly<Record<string, string | undefined>>;
  readonly config: () => WorkerConfig;
  /** Asked anew for each worker. */
  readonly sockets: () => readonly ListeningSocket[];
  readonly openSession: (incarnation: number, socket: Duplex, events: SessionEvents) => Session;
  /** Where workers' records go: one process writes the log, so that no line is torn. */
  readonly log: Log;
  readonly boundary: Boundary;
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
      args: [],
      // Nor is a worker a debugger's, whoever signals it.
      execArgv: ['--disable-sigusr1'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
    });
  }

  takeUp(): void {
    this.#options.code.takeUp();
  }

  get isOtherOnDisk(): boolean {
    return this.#options.code.isOther;
  }

  launch(incarnation: number, events: WorkerEvents, fresh: boolean): WorkerProcess {
    const exited = this.#options.boundary.guard('worker', events.exited);
    let worker: Worker;
    try {
      cluster.setupPrimary({ exec: this.#options.code.entry(fresh) });
      worker = cluster.fork(this.#options.env(incarnation));
    } catch (error) {
      // Node throws for what it does not expect of a spawn: no memory, a binary that is being written (`npm ci`), ...
      setImmediate(exited, unstarted(error));
      return NO_PROCESS;
    }
    if (worker.process.pid === undefined) {
      worker.once('error', (error) => exited(unstarted(error)));
      return NO_PROCESS;
    }
    try {
      return this.#supervise(worker, incarnation, events);
    } catch (error) {
      this.#options.boundary.failed('worker', error);
      worker.once('exit', () => exited(unstarted(error)));
      worker.process.kill('SIGKILL');
      return NO_PROCESS;
    }
  }

  #supervise(worker: Worker, incarnation: number, events: WorkerEvents): WorkerProcess {
    const { boundary } = this.#options;
    let reason = '';
    let reset = 0;
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
    const onMessage = (message: unknown) => {
      if (!isLifecycleMessage(message)) return;
      if (message.edgeproxy === 'loaded') this.#sendConfig(worker);
      else if (message.edgeproxy === 'accepting') events.accepting();
      else if (message.edgeproxy === 'retire') events.retiring();
      else if (message.edgeproxy === 'failed') reason ||= message.reason;
      else if (message.edgeproxy === 'reset') reset += message.connections;
      else if (message.edgeproxy === 'reopen') this.#sendSockets(worker);
      else
        this.#options.log[message.level](
          { ...message.fields, incarnation, worker: worker.process.pid },
          message.message,
        );
    };
    worker.on('message', boundary.guard('worker', onMessage));
    const onExit = async (code: number | null, signal: string | null) => {
      const cut = await session.processGone(LAST_WORDS_MS);
      events.exited({ code, signal, reason, cut: cut + reset });
    };
    worker.once('exit', boundary.guard('worker', onExit));
    return {
      pid: worker.process.pid!,
      cap: (connections) => session.cap(connections),
      drain: () => send(worker, { edgeproxy: 'drain' }),
      kill,
    };
  }

  #sendConfig(worker: Worker): void {
    send(worker, { edgeproxy: 'config', version: CONFIG_VERSION, config: this.#options.config() });
  }

  #sendSockets(worker: Worker): void {
    const sockets = this.#options.sockets();
    sockets.forEach(({ handle, listener: spec }, listener) => {
      const last = listener === sockets.length - 1;
      send(worker, { edgeproxy: 'listen', listener, version: SPEC_VERSION, spec, last }, handle);
    });
  }
}

/** The system has no room for another process: an exit before there was anything to exit. */
function unstarted(error: unknown): WorkerExit {
  return { code: null, signal: null, reason: `could not be started: ${codeOf(error) || messageOf(error)}`, cut: 0 };
}

const NO_PROCESS: WorkerProcess = { pid: 0, cap: () => {}, drain: () => {}, kill: () => {} };

function send(worker: Worker, message: PrimaryLifecycle, handle?: unknown): void {
  if (!worker.isConnected()) return;
  // keepOpen: the primary's copy is what keeps the queue of clients alive. Types know no raw handles.
  worker.process.send(message, handle as undefined, { keepOpen: true }, () => {});
}
