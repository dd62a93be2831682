import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** For a process that was asked to end; one that has not by then is killed. In ms. */
const STOP_MS = 5000;

export interface StartOptions {
  /** Beside this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** With Node's message channel. */
  readonly ipc?: boolean;
}

/** Everything that a run starts, ended and removed with it. */
export class Bench {
  readonly directory = mkdtempSync(join(tmpdir(), 'edgeproxy-bench-'));
  readonly #children = new Set<ChildProcess>();
  #closed: Promise<void> | null = null;

  file(name: string, text: string): string {
    const path = join(this.directory, name);
    writeFileSync(path, text);
    return path;
  }

  directoryFor(name: string): string {
    const path = join(this.directory, name);
    mkdirSync(path);
    return path;
  }

  /**
   * Starts a process that runs until it is stopped. It may hold as many descriptors as the hard limit allows: Node raises
   * its own soft limit when it starts, and children inherit it.
   */
  start(command: string, args: readonly string[], options: StartOptions = {}): ChildProcess {
    if (this.#closed !== null) throw new Error('the run is over');
    const child = spawn(command, args, {
      cwd: this.directory,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe', ...(options.ipc === true ? ['ipc' as const] : [])],
    });
    // The reader must keep up, or the writer would be measured waiting.
    child.stdout!.resume();
    child.stderr!.resume();
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return child;
  }

  /** Runs a load generator to its end and gives what it printed. One that takes longer than `limitMs` is killed. */
  async output(command: string, args: readonly string[], limitMs: number): Promise<string> {
    const child = this.start(command, args);
    let text = '';
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    const [code, signal] = await once(child, 'close');
    clearTimeout(timer);
    if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code ?? signal}:\n${text}`);
    return text;
  }

  async stop(child: ChildProcess): Promise<void> {
    if (!this.#children.has(child)) return;
    const closed = once(child, 'close');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await closed;
    clearTimeout(timer);
  }

  close(): Promise<void> {
    this.#closed ??= Promise.all([...this.#children].map((child) => this.stop(child))).then(() =>
      rmSync(this.directory, { recursive: true, force: true }),
    );
    return this.#closed;
  }
}

/** Below the range that the kernel takes local ports from (32768 on, by default): clients of a run cannot take it meanwhile. */
const FIRST_PORT = 20_000;
const PORTS = 12_000;

export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    const server = net.createServer();
    const bound = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!bound) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
  throw new Error(`no port from ${FIRST_PORT} on is free`);
}

/** Waits until something accepts on `port`, ten seconds at most. */
export async function accepts(port: number): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const socket = net.connect(port, '127.0.0.1');
    const up = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (up) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`nothing accepts on port ${port}`);
}
