// Runs in: primary, thread
import type { BigIntStats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { codeOf } from '../../../errors.ts';

/** What tells one file from another that stands, or stood, under the same path. Structured-cloneable. */
export interface FileId {
  readonly device: bigint;
  readonly inode: bigint;
  /** File systems give a freed inode number to the next file: its birth tells them apart. ns */
  readonly birth: bigint;
}

/** The file at `path` (symbolic links followed), or `null` when there is none. Throws every other system error. */
export async function statOrNull(path: string): Promise<BigIntStats | null> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    throw error;
  }
}

/** The file that `path` leads to: SQLite keeps its sidecars beside that, not beside a symbolic link. */
export async function realPathOrNull(path: string): Promise<string | null> {
  try {
    return await realpath(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    throw error;
  }
}

export function idOf(stats: BigIntStats): FileId {
  return { device: stats.dev, inode: stats.ino, birth: stats.birthtimeNs };
}

/** The id of SQLite's write-ahead log beside `path`, a real path, or `null` when there is none. */
export async function walIdOf(path: string): Promise<FileId | null> {
  const stats = await statOrNull(`${path}-wal`);
  return stats === null ? null : idOf(stats);
}

/** The header of a WAL, bytes: one that has no more holds nothing. */
const WAL_HEADER = 32n;

/** Whether a WAL, `null` for none, has no frame: no commit can be in it. */
export function holdsNothing(wal: BigIntStats | null): boolean {
  return wal === null || wal.size <= WAL_HEADER;
}

/**
 * Whether a WAL is a header alone, which a writer that died just then leaves. With an index that it may not write SQLite
 * asks that again and again for ten seconds, without letting anyone else run.
 */
export function isHeaderAlone(wal: BigIntStats | null): boolean {
  return wal?.size === WAL_HEADER;
}

export function sameFile(a: FileId | null, b: FileId | null): boolean {
  if (a === null || b === null) return a === b;
  return a.device === b.device && a.inode === b.inode && a.birth === b.birth;
}

/** Like `sameFile`, blind to births: where the system does not tell them, Node gives the time of the last change. */
export function sameInode(a: FileId, b: FileId): boolean {
  return a.device === b.device && a.inode === b.inode;
}

/** Equal for the same file only; part of a change stamp. */
export function showId(id: FileId | null): string {
  return id === null ? '-' : `${id.device}.${id.inode}.${id.birth}`;
}

/** The kernel's clock for files ticks once in so many ms at most. */
const TICK_MS = 10;

/** Whether the file may be written again with the times that it has now. */
export function isFresh(stats: BigIntStats | null): boolean {
  return stats !== null && Date.now() - Number(stats.mtimeMs) <= 2 * TICK_MS;
}

/** Equal until the file is written, once it is not fresh any more. Part of a change stamp. */
export function showTimes(stats: BigIntStats | null): string {
  return stats === null ? '-' : `${showId(idOf(stats))} ${stats.mtimeNs} ${stats.size}`;
}
