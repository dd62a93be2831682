// Runs in: thread
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf, EdgeError } from '../../../errors.ts';
import { unfinishedCommit, unreadableWal } from './failure.ts';
import { holdsNothing, idOf, sameFile, statOrNull } from './file-id.ts';
import { holdsPageOf, type LeftOverWal } from './left-over-wal.ts';

/** A file that has to be read into memory whole may have at most this many bytes; a million rows take about a fifth. */
const MAX_BYTES = 512 * 1024 * 1024;
const READ_TRIES = 4;
const PAUSE_MS = 25;
const BLOCK = 1 << 20;

/**
 * The bytes of the main file at `path`, without SQLite and its locks, where they provably are its last commit. A writer
 * changes the main file only while a journal with a header, or a WAL with frames, stands beside it. So at an instant at
 * which neither does, the file is one commit; and bytes that are the same before and after that instant are that commit's.
 *
 * `leftOver` is a WAL that does not belong to this file; `reason` is why SQLite cannot open it in place. Throws
 * EDGE_ERR_DB_UNREADABLE with what to do when it is not so, EDGE_ERR_DB_LOCKED when it is being written, and what the
 * file system throws.
 */
export async function readAlone(path: string, leftOver: LeftOverWal | null, reason?: unknown): Promise<Buffer> {
  await using file = await open(path, 'r');
  for (let tries = 1; ; tries++) {
    const bytes = await readWhole(file, path);
    // A living writer that is between its first write and its last is waited for a little.
    const obstacle = await obstacleTo(path, bytes, leftOver, reason);
    if (obstacle === null && (await holds(file, bytes))) return bytes;
    if (tries === READ_TRIES) {
      throw obstacle ?? new EdgeError('EDGE_ERR_DB_LOCKED', `${path} is being written: let the writer finish`);
    }
    await delay(PAUSE_MS);
  }
}

async function obstacleTo(
  path: string,
  bytes: Buffer,
  leftOver: LeftOverWal | null,
  reason: unknown,
): Promise<EdgeError | null> {
  if (await mayBeHot(`${path}-journal`)) return unfinishedCommit(path, reason);
  const wal = await statOrNull(`${path}-wal`);
  if (wal === null || holdsNothing(wal)) return null;
  if (leftOver === null || !sameFile(idOf(wal), leftOver.wal)) return unreadableWal(path, reason);
  const main = await statOrNull(path);
  if (main?.mtimeNs === leftOver.mainWritten || !(await holdsPageOf(`${path}-wal`, bytes))) return null;
  const message =
    `${path} was replaced, and may since have got pages of the old file by its left-over ${path}-wal: ` +
    'end the programs that use it, remove the -wal and -shm files, and put the new file in place again';
  return new EdgeError('EDGE_ERR_DB_UNREADABLE', message);
}

/** Whether a rollback journal is more than one that was finished: gone, empty, or with a header of zeros. */
async function mayBeHot(path: string): Promise<boolean> {
  try {
    await using journal = await open(path, 'r');
    const first = Buffer.alloc(1);
    const { bytesRead } = await journal.read(first, 0, 1, 0);
    return bytesRead === 1 && first[0] !== 0;
  } catch (error) {
    // One that cannot be read cannot be called finished.
    return codeOf(error) !== 'ENOENT';
  }
}

async function readWhole(file: FileHandle, path: string): Promise<Buffer> {
  const { size } = await file.stat();
  if (size > MAX_BYTES) {
    const message = `${path} is larger than ${MAX_BYTES} bytes: too large to read whole`;
    throw new EdgeError('EDGE_ERR_DB_UNREADABLE', message);
  }
  const bytes = Buffer.alloc(size);
  const { bytesRead } = await file.read(bytes, 0, size, 0);
  return bytes.subarray(0, bytesRead);
}

/** Whether the file is `bytes`, no more and no less. */
async function holds(file: FileHandle, bytes: Buffer): Promise<boolean> {
  const block = Buffer.alloc(BLOCK);
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(block, 0, BLOCK, at);
    if (!block.subarray(0, bytesRead).equals(bytes.subarray(at, at + bytesRead))) return false;
    at += bytesRead;
    if (bytesRead === 0) return at === bytes.length;
  }
}
