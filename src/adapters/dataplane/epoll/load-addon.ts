// Runs in: primary, worker
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../../errors.ts';

/** The native side of one engine; see native/addon.c. Connection numbers that it does not know are ignored. */
export interface NativeEngine {
  /** Set before anything else is called: receives `count` records, which event-records.ts reads. */
  deliver: (count: number, records: ArrayBuffer) => void;
  /** Duplicates the descriptor. `prereadBytes` 0: no preread. Throws an error with the errno's name as `code`. */
  listen(fd: number, listener: number, prereadBytes: number, prereadTimeoutMs: number): void;
  stopAccepting(): void;
  acceptBelow(connections: number): void;
  watchHangUp(conn: number): void;
  prereadMore(conn: number): void;
  /** The bytes that a record of `deliver` tells of, a copy. `undefined`: the answer was taken back, or the connection is over. */
  preread(conn: number, isAnswer: boolean): Uint8Array | undefined;
  /** `fd`: of a socket that is connected, which is duplicated; -1: there is none. */
  connect(
    conn: number,
    host: string,
    port: number,
    fd: number,
    skip: number,
    contended: boolean,
    prefix: Uint8Array | undefined,
  ): void;
  reject(conn: number, reset: boolean): void;
  close(conn: number): void;
  settle(): void;
  size(): number;
}

/** A stream socket to another process, by its descriptor; see native/link.h. */
export interface NativeLink {
  /** Both are set before anything is watched. So many bytes stand in the buffer; 0: the peer's end; below: an errno. */
  onBytes: (count: number) => void;
  /** Something may be sent. */
  onWritable: () => void;
  /** How many of them the kernel took; below 0: an errno. */
  send(bytes: Uint8Array): number;
  watch(readable: boolean, writable: boolean): void;
  /** Sends our end. */
  end(): void;
  close(): void;
}

export interface Addon {
  /** Duplicates the descriptor. Throws an error with the errno's name as `code`. */
  readonly Link: new (
    fd: number,
    buffer: ArrayBuffer,
  ) => NativeLink;
  /** Times in ms, 0 for off. */
  readonly Engine: new (
    connectTimeoutMs: number,
    idleTimeoutMs: number,
    halfCloseTimeoutMs: number,
    unackedTimeoutMs: number,
    maxConnections: number,
  ) => NativeEngine;
  /** The kernel kills this process when its parent ends; a parent that is gone already is not noticed. See native/process.h. */
  readonly dieWithParent: () => void;
  /**
   * Fills `out` with what the kernel knows of the bytes that a TCP socket was given: how many its peer acknowledged, ms
   * since anything came from there, whether all is acknowledged, and whether the peer owes an answer (1 or 0). `false`: it
   * does not tell. For the stream engine, whose sockets are Node's.
   */
  readonly lookAtWire: (fd: number, out: Float64Array) => boolean;
}

export type LoadedAddon =
  | { readonly addon: Addon; readonly reason: null }
  | { readonly addon: null; readonly reason: string };

/** `Debug` is the build with sanitizers, for tests. */
export type AddonBuild = 'Release' | 'Debug';

/** Loads what `npm ci` built, if it did. `reason`: for the operator. */
export function loadAddon(build: AddonBuild = 'Release'): LoadedAddon {
  if (process.platform !== 'linux') return { addon: null, reason: `it is for Linux, and this is ${process.platform}` };
  const path = fileURLToPath(new URL(`../../../../build/${build}/edgeproxy_epoll.node`, import.meta.url));
  try {
    const addon: unknown = createRequire(import.meta.url)(path);
    if (isAddon(addon)) return { addon, reason: null };
    return { addon: null, reason: `${path} is not the native engine of this release: npm ci builds it` };
  } catch (error) {
    const missing = (error as { code?: unknown } | null)?.code === 'MODULE_NOT_FOUND';
    return { addon: null, reason: missing ? 'it is not built: npm ci does where a C compiler is' : messageOf(error) };
  }
}

function isAddon(value: unknown): value is Addon {
  const { Engine, Link, dieWithParent, lookAtWire } = (value ?? {}) as Partial<Addon>;
  return [Engine, Link, dieWithParent, lookAtWire].every((part) => typeof part === 'function');
}
