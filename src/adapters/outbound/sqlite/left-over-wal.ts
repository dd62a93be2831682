// Runs in: thread
import { open } from 'node:fs/promises';
import type { FileId } from './file-id.ts';

/** A WAL that stands beside the routing database and belongs to the file that stood there before. Structured-cloneable. */
export interface LeftOverWal {
  readonly wal: FileId;
  /**
   * When the file that stands there now was last written, if that was before it was put there, else `null`: as long as
   * it is so, nobody has written to it through this WAL. ns
   */
  readonly mainWritten: bigint | null;
}

// The file format, section 4 "The Write-Ahead Log": a header, then frames of a header and a page. Numbers are big-endian.
const HEADER = 32;
const PAGE_SIZE = 8;
const FRAME_HEADER = 24;

/**
 * Whether a page of the database `bytes` is what the WAL at `path` holds for it: it may have been written there by a
 * checkpoint, finished or not. Torn frames at the end are looked at as well: more than enough is compared.
 */
export async function holdsPageOf(path: string, bytes: Buffer): Promise<boolean> {
  await using wal = await open(path, 'r');
  const header = Buffer.alloc(HEADER);
  if ((await wal.read(header, 0, HEADER, 0)).bytesRead < HEADER) return false;
  const pageSize = header.readUInt32BE(PAGE_SIZE);
  // No WAL that SQLite would read.
  if (pageSize < 512 || pageSize > 65_536) return false;
  const frame = Buffer.alloc(FRAME_HEADER + pageSize);
  for (let at = HEADER; ; at += frame.length) {
    const { bytesRead } = await wal.read(frame, 0, frame.length, at);
    if (bytesRead < frame.length) return false;
    const start = (frame.readUInt32BE(0) - 1) * pageSize;
    if (bytes.subarray(start, start + pageSize).equals(frame.subarray(FRAME_HEADER))) return true;
  }
}
