// Runs in: primary
import { type FileHandle, open, stat } from 'node:fs/promises';

/** City databases are about 130 MB; more than this is not one, and would be held in memory twice while it is replaced. */
export const MAX_DATABASE_BYTES = 512 * 1024 * 1024;

/**
 * What tells one version of a file from the next. The inode moves on a rename, the size and mtime on a write; ctime, which
 * no program can set, moves also for tools that keep the mtime (`cp -p`, `rsync -t`).
 */
export interface FileStamp {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

export function sameStamp(a: FileStamp, b: FileStamp): boolean {
  return a.dev === b.dev && a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}

/** Rejects with the system's error. */
export function stampOf(path: string): Promise<FileStamp> {
  return stat(path, { bigint: true });
}

/**
 * The whole file, or `null` when it is no longer the version of `stamp`, or stopped to be while it was read: someone writes
 * it in place. Rejects for what is no file or larger than MAX_DATABASE_BYTES, and with the system's errors.
 */
export async function readVersion(path: string, stamp: FileStamp): Promise<Buffer | null> {
  if (stamp.size > MAX_DATABASE_BYTES) {
    throw new Error(`it has ${stamp.size} bytes, more than ${MAX_DATABASE_BYTES} are not read`);
  }
  // A pipe would block a thread of the pool until someone writes it.
  if (!(await stat(path)).isFile()) throw new Error('it is not a regular file');
  const file = await open(path);
  try {
    const bytes = await readAll(file, Number(stamp.size));
    const after = await file.stat({ bigint: true });
    return bytes !== null && sameStamp(after, stamp) ? bytes : null;
  } finally {
    await file.close();
  }
}

async function readAll(file: FileHandle, size: number): Promise<Buffer | null> {
  const bytes = Buffer.allocUnsafeSlow(size);
  let at = 0;
  while (at < size) {
    const { bytesRead } = await file.read(bytes, at, size - at, at);
    if (bytesRead === 0) return null;
    at += bytesRead;
  }
  return bytes;
}
