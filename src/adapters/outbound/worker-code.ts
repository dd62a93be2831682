// Runs in: primary
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Log } from '../../application/ports/log.ts';
import { messageOf } from '../../errors.ts';

/** What a worker is made of, beside Node itself and node_modules. Some 600 kB. */
const FOLDERS = ['src', 'workers'];
const FILES = ['package.json', 'build/Release/edgeproxy_epoll.node'];
const CODE = /\.(?:ts|mjs)$/;
const ENTRY = 'workers/proxy.ts';

interface KeptFile {
  readonly bytes: Buffer;
  /** What tells without reading that a file is the same. */
  stamp: string;
}

/** By path from the root of the checkout. */
type Code = ReadonlyMap<string, KeptFile>;

/**
 * The workers' code as it was when the primary started, or when a roll last took up what was on disk. Until the next roll,
 * a worker that dies is replaced by one of its own release, whatever an update has put on disk meanwhile: from there while
 * that is the same, else from a private copy.
 */
export class WorkerCode {
  readonly #root: string;
  readonly #log: Log;
  #kept: Code;
  #fresh: Code | null = null;
  #isOther = false;
  #copy: string | null = null;

  /** `root`: of the checkout. */
  constructor(root: string, log: Log) {
    this.#root = root;
    this.#log = log;
    this.#kept = read(root);
    process.on('exit', () => this.#dropCopy());
  }

  /** The code on disk is known to be another than the workers'. Found out when a worker starts. */
  get isOther(): boolean {
    return this.#isOther;
  }

  /** The file to start a worker from. `fresh`: of what is on disk now. */
  entry(fresh: boolean): string {
    if (fresh) this.#fresh = this.#readFresh();
    this.#isOther = !this.#isOnDisk();
    return join(fresh || !this.#isOther ? this.#root : this.#copied(), ENTRY);
  }

  /** A worker that was started from what was on disk serves: its like replace those that die from now on. */
  takeUp(): void {
    if (this.#fresh === null) return;
    this.#kept = this.#fresh;
    this.#fresh = null;
    this.#isOther = false;
    this.#dropCopy();
  }

  #readFresh(): Code | null {
    try {
      return read(this.#root);
    } catch {
      // An update is under way: the worker will not come to serve, or what it serves by is not known.
      return null;
    }
  }

  #isOnDisk(): boolean {
    return [...this.#kept].every(([path, file]) => {
      const stamp = stampOf(join(this.#root, path));
      if (stamp === file.stamp) return true;
      if (stamp === null || !readFileSync(join(this.#root, path)).equals(file.bytes)) return false;
      file.stamp = stamp;
      return true;
    });
  }

  /** Where the copy of what is kept is; the checkout when there is no place for one. */
  #copied(): string {
    if (this.#copy !== null && existsSync(join(this.#copy, ENTRY))) return this.#copy;
    try {
      // Only we may write there. node_modules stays where it is: it is no code of ours, and a hundred times as large.
      const directory = mkdtempSync(join(tmpdir(), 'edgeproxy-code-'));
      this.#copy = directory;
      symlinkSync(join(this.#root, 'node_modules'), join(directory, 'node_modules'));
      for (const [path, { bytes, stamp }] of this.#kept) {
        const to = join(directory, path);
        mkdirSync(dirname(to), { recursive: true });
        // A directory for temporary files may be one from which nothing can be run.
        if (path.endsWith('.node') && stampOf(join(this.#root, path)) === stamp)
          symlinkSync(join(this.#root, path), to);
        else writeFileSync(to, bytes);
      }
      this.#log.warn(
        { directory },
        'the code on disk is of another release: workers that die restart from a copy of ours',
      );
      return directory;
    } catch (error) {
      this.#dropCopy();
      const reason = messageOf(error);
      this.#log.warn({ reason }, 'the code on disk is of another release, and there is no place for a copy of ours');
      return this.#root;
    }
  }

  #dropCopy(): void {
    if (this.#copy !== null) rmSync(this.#copy, { recursive: true, force: true });
    this.#copy = null;
  }
}

function read(root: string): Code {
  const inFolders = FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => CODE.test(name))
      .map((name) => join(folder, name)),
  );
  const code = new Map<string, KeptFile>();
  for (const path of [...inFolders, ...FILES]) {
    // Before the bytes: a change between the two is found by the next look.
    const stamp = stampOf(join(root, path));
    if (stamp !== null) code.set(path, { stamp, bytes: readFileSync(join(root, path)) });
  }
  return code;
}

/** `null`: there is no such file. */
function stampOf(path: string): string | null {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? null : `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}
