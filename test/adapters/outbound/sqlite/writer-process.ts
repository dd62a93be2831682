import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import type { Test } from 'tap';

/**
 * Another program that has the routing database open: SQLite's locks are those of a process, so that a second connection
 * of the test's own would not stand for it. Run as a program, this file executes each message as SQL.
 */
export class WriterProcess {
  readonly #child;

  /** `env` is added to ours. */
  constructor(t: Test, path: string, env: Readonly<Record<string, string>> = {}) {
    this.#child = fork(fileURLToPath(import.meta.url), [path], {
      execArgv: [],
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    t.teardown(() => this.end());
  }

  /** Resolves when the statements are executed; rejects with SQLite's message. */
  async exec(sql: string): Promise<void> {
    const reply = once(this.#child, 'message');
    this.#child.send(sql);
    const [error] = (await reply) as [string];
    if (error !== '') throw new Error(error);
  }

  /** Resolves with the signal that ended it, with `null` when all statements were executed and the file was closed. */
  async execLast(sql: string): Promise<NodeJS.Signals | null> {
    const exit = once(this.#child, 'exit');
    this.#child.send(sql);
    this.#child.send('');
    const [, signal] = (await exit) as [number | null, NodeJS.Signals | null];
    return signal;
  }

  /** Ends it as a crash would, leaving its files as they are. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }
}

if (process.send !== undefined && process.argv[2] !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const db = new Database(process.argv[2]);
  process.on('message', (sql: string) => {
    try {
      if (sql === '') {
        db.close();
        process.exit();
      }
      db.exec(sql);
      process.send!('');
    } catch (error) {
      process.send!(String(error));
    }
  });
  process.on('disconnect', () => process.exit());
}
