import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { type ReadTable, readTable } from '../../../../src/adapters/outbound/sqlite/load-table.ts';
import { SqliteBackendRepository } from '../../../../src/adapters/outbound/sqlite/sqlite-backend-repository.ts';
import type { RoutingLook } from '../../../../src/application/ports/backend-repository.ts';
import { inOrder } from '../../../../src/domain/table-image.ts';
import { rowsOf } from './image-rows.ts';

/** What a reader found. */
export interface Finding {
  readonly kind: 'loaded' | 'unchanged' | 'failed';
  /** Of a loaded table: each row's id and weight. */
  readonly rows?: string;
  readonly code?: string;
  readonly message?: string;
}

/** Loads each database by itself, all side by side. */
export function loadAll(paths: readonly string[]): Promise<Finding[]> {
  return Promise.all(paths.map(async (path) => findingOf(await readTable({ path, ownEndpoints: [], leftOver: null }))));
}

export function findingOf(look: RoutingLook | Pick<ReadTable, 'kind' | 'backends'>): Finding {
  if (look.kind === 'unchanged') return { kind: 'unchanged' };
  if (look.kind === 'failed') return { kind: 'failed', code: look.code, message: look.message };
  return {
    kind: 'loaded',
    rows: (look.kind === 'read' ? inOrder(look.backends) : rowsOf(look.content))
      .map(({ id, weight }) => `${id}:${weight}`)
      .join(' '),
  };
}

/** A process of another user that reads routing databases as the proxy does. */
export class ReaderProcess {
  readonly #child;

  constructor(t: Test, uid: number) {
    this.#child = fork(fileURLToPath(import.meta.url), ['reader'], {
      execArgv: [],
      uid,
      gid: uid,
      cwd: '/',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    t.teardown(() => this.#child.kill('SIGKILL'));
  }

  loadAll(paths: readonly string[]): Promise<Finding[]> {
    return this.#ask({ paths });
  }

  /** One look of a repository that stays: all are at the path of the first. */
  async look(path: string): Promise<Finding> {
    return (await this.#ask({ look: path }))[0]!;
  }

  async #ask(question: object): Promise<Finding[]> {
    const reply = once(this.#child, 'message');
    this.#child.send(question);
    return (await reply)[0] as Finding[];
  }
}

if (process.send !== undefined && process.argv[2] === 'reader' && process.argv[1] === fileURLToPath(import.meta.url)) {
  let repository: SqliteBackendRepository | null = null;
  process.on('message', async ({ paths, look }: { paths?: string[]; look?: string }) => {
    if (paths !== undefined) process.send!(await loadAll(paths));
    if (look === undefined) return;
    repository ??= new SqliteBackendRepository({ path: look });
    process.send!([findingOf(await repository.look())]);
  });
  process.on('disconnect', () => process.exit());
}
