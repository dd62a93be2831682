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

/** Equal until the file is written, but for writes within one tick of the kernel's clock. Part of a change stamp. */
export function showTimes(stats: BigIntStats | null): string {
  return stats === null ? '-' : `${showId(idOf(stats))} ${stats.mtimeNs} ${stats.size}`;
}
