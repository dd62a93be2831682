import { type ChildProcess, execFile, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CLEAN_ENV } from '../fixtures/clean-env.ts';
import { writeMmdb } from '../fixtures/mmdb.ts';
import { ROOT, RunningProxy } from '../fixtures/proxy.ts';
import { writeRoutingDb } from '../fixtures/routing-db.ts';
import { BACKENDS, NETWORKS, POP_REGION } from './places.ts';
import { Visitor } from './visitor.ts';

/** Drain deadline of the demo's proxy, s; its stop gets that and some more before it is killed. */
const DRAIN_SECS = 5;
const STOP_MS = (DRAIN_SECS + 5) * 1000;
/** A command takes half a second; one that takes so long hangs. In ms. */
const COMMAND_MS = 30_000;

/** The processes and files of the demo. Whatever happens, `clear` leaves none of them. */
export class Stage {
  readonly ports = new Map<string, number>();
  /** Rejects when a process of the demo ends by itself. */
  readonly broken: Promise<never>;
  #break: (error: Error) => void = () => {};
  #directory: string | null = null;
  #proxy: RunningProxy | null = null;
  #cleared = false;
  readonly #symptoms: string[] = [];
  /** Backends, and commands under way. */
  readonly #children: ChildProcess[] = [];
  readonly #visitors: Visitor[] = [];

  constructor() {
    this.broken = new Promise((_, reject) => {
      this.#break = reject;
    });
    this.broken.catch(() => {});
  }

  get proxy(): RunningProxy {
    if (this.#proxy === null) throw new Error('the proxy does not run yet');
    return this.#proxy;
  }

  /** Starts everything; resolves when the proxy serves. */
  async set(): Promise<void> {
    this.#directory = mkdtempSync(join(tmpdir(), 'edgeproxy-demo-'));
    const ports = await Promise.all(BACKENDS.map(({ id }) => this.#startBackend(id)));
    // Cleared meanwhile: what started now would be left behind.
    if (this.#cleared) throw new Error('the demo was ended while it started');
    const rows = BACKENDS.map((row, i) => ({ ...row, port: ports[i]! }));
    for (const { id, port } of rows) this.ports.set(id, port);
    const geoip = join(this.#directory, 'places.mmdb');
    writeMmdb(geoip, NETWORKS);
    writeRoutingDb(join(this.#directory, 'routing.db'), rows);
    this.#proxy = this.#startProxy(this.#directory, geoip);
    await this.#proxy.logged('ready');
  }

  visitor(address: string): Visitor {
    const visitor = new Visitor(this.proxy.port, address);
    this.#visitors.push(visitor);
    return visitor;
  }

  /** Runs a command of the operator's; rejects with what it prints when it fails. */
  async command(...args: string[]): Promise<void> {
    const script = join(ROOT, 'src/cli.ts');
    const env = { ...CLEAN_ENV, EDGEPROXY_DB_PATH: this.proxy.dbPath };
    const running = promisify(execFile)(process.execPath, [script, ...args], { env, timeout: COMMAND_MS });
    this.#children.push(running.child);
    await running;
  }

  /** Stops the proxy as an operator would. Resolves with its exit code. */
  async stopProxy(): Promise<number | null> {
    this.#break = () => {};
    return (await this.proxy.stop()).code;
  }

  async clear(): Promise<void> {
    this.#cleared = true;
    this.#break = () => {};
    // First of all, so that the proxy has nothing to drain.
    for (const visitor of this.#visitors) visitor.leave();
    if (this.#proxy !== null) {
      const { child, exited } = this.#proxy;
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await this.#proxy.stop();
      await exited;
      clearTimeout(late);
    }
    await Promise.all(this.#children.map(end));
    if (this.#directory !== null) rmSync(this.#directory, { recursive: true, force: true });
  }

  /** What the proxy showed that it should not, for a demo that failed; complete once it is cleared. */
  symptoms(): string[] {
    const { log, noise } = this.#proxy ?? { log: [], noise: [] };
    const complaints = log
      .filter(({ level }) => level !== 'info')
      .map(({ level, msg, reason }) => `${level}: ${msg}${reason === undefined ? '' : ` (${reason})`}`);
    return [...complaints, ...noise].slice(-20).concat(this.#symptoms);
  }

  async #startBackend(id: string): Promise<number> {
    const script = fileURLToPath(new URL('backend.ts', import.meta.url));
    const child = fork(script, [id], { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#children.push(child);
    child.once('exit', (code) => this.#break(new Error(`backend ${id} ended with ${code}`)));
    const [port] = (await once(child, 'message')) as [number];
    return port;
  }

  #startProxy(directory: string, geoip: string): RunningProxy {
    const child = spawn(process.execPath, [join(ROOT, 'src/main.ts')], {
      cwd: directory,
      // Nothing of the caller's: whatever they have set for their own proxy is not for this one.
      env: {
        ...CLEAN_ENV,
        EDGEPROXY_LISTEN_ADDR: '127.0.0.1:0',
        EDGEPROXY_ADMIN_ADDR: '127.0.0.1:0',
        EDGEPROXY_DB_PATH: 'routing.db',
        EDGEPROXY_DB_RELOAD_SECS: '1',
        EDGEPROXY_GEOIP_PATH: geoip,
        EDGEPROXY_REGION: POP_REGION,
        EDGEPROXY_WORKERS: '2',
        EDGEPROXY_SHUTDOWN_TIMEOUT_SECS: String(DRAIN_SECS),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const proxy = new RunningProxy(directory, child);
    void proxy.exited.then(({ code, signal }) => {
      if (code !== 0) this.#symptoms.push(`the proxy ended with ${signal ?? code}`);
      this.#break(new Error(`the proxy ended with ${signal ?? code}`));
    });
    return proxy;
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
