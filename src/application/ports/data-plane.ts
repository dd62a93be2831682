/**
 * The data plane port: everything above sockets speaks to an engine through it, so that engines can be exchanged and
 * proved with one conformance suite. Connections are small positive integers here; no socket object crosses the port.
 *
 * An engine keeps a number busy from `accepted` until it has delivered `closed` for it, and may use it again afterwards.
 *
 * Engines may differ in speed and memory, and otherwise only in this: `epoll` holds 2^20 connections at most, whatever
 * `maxConnections` says, and begins TCP keepalive a second after a connection opened, as `stream` does towards backends;
 * `stream` closes its listening sockets and asks for them again (`onReopen`) where `epoll` pauses them, and can ask the
 * kernel what peers acknowledge only where the native code is built (see `unackedTimeoutMs`, `idleTimeoutMs`).
 *
 * What a side finished stays finished: when it fails after its end, what it sent goes on to the other side, with the end,
 * and what that one sends is dropped. The connection is over when the other side ends too, or is reset some seconds after
 * it got everything, which `epoll` asks its kernel, and `stream` takes for granted of the first 64 KiB, and otherwise after
 * the timeouts, or a minute. A side that fails before its end resets the other at once. Off Linux, `stream` can tell the
 * two apart only where the end was read before.
 *
 * A client that resets before it is connected is over (`client_reset`): when `connect` is called, or a dial is under way.
 * Urgent data is no more than a byte: `epoll` passes it on in its place, `stream` loses it, as Node does.
 */

import type { ClientAddress } from '../../domain/client-address.ts';
import type { CloseReason } from '../../domain/close-reasons.ts';

export type { CloseReason };

/** A connection on this port. An integer from 1 up, unique among the open ones of its engine. */
export type Conn = number;

export interface Endpoint {
  /** An IP literal; engines never resolve names. */
  readonly host: string;
  readonly port: number;
}

/** How a client that gets no backend is turned away: an orderly end (FIN), or a reset (RST). */
export type RejectHow = 'close' | 'reset';

export type DataPlaneEvent =
  /**
   * A client is here; the engine reads nothing from it until it is connected. `preread`: its
   * first bytes, up to `maxBytes`, for a listener with `PrereadOptions` and only there; see `PrereadOptions` for when they come,
   * and when they are none.
   */
  | {
      readonly type: 'accepted';
      readonly conn: Conn;
      readonly listener: number;
      readonly address: ClientAddress;
      readonly preread?: Uint8Array;
    }
  /** The answer to `prereadMore`: all bytes from the first on. `complete`: there will be no more before `connect`. */
  | { readonly type: 'preread'; readonly conn: Conn; readonly preread: Uint8Array; readonly complete: boolean }
  /** The backend accepted and bytes flow. `rttMs`: from dial to accept. */
  | { readonly type: 'connected'; readonly conn: Conn; readonly rttMs: number }
  /**
   * The dial failed; the client is still held, and `connect` or `reject` may follow. `code`: `ECONNREFUSED`, `ETIMEDOUT`, ...
   * `here`: the kernel refused to dial, and nothing was sent; some codes mean another thing then.
   */
  | { readonly type: 'connectFailed'; readonly conn: Conn; readonly code: string; readonly here: boolean }
  /**
   * The last event of a connection: all its descriptors are closed. Of a contended one (see `connect`) the backend's is, and
   * the client's is as soon as the receiver returns.
   */
  | {
      readonly type: 'closed';
      readonly conn: Conn;
      readonly reason: CloseReason;
      /** Bytes from the client that were handed to the backend's socket. */
      readonly bytesToBackend: number;
      /** Bytes from the backend that were handed to the client's socket. */
      readonly bytesToClient: number;
      /** From accept to close. */
      readonly durationMs: number;
    }
  /** The answer to `settle`. */
  | { readonly type: 'settled' }
  /** A client was accepted and closed at once, because the descriptor budget is spent. It never had a number. */
  | { readonly type: 'refused'; readonly listener: number; readonly address: ClientAddress };

export interface DataPlaneOptions {
  /** Per dial, in ms, > 0. Started by `connect`, stopped by the backend's answer. */
  readonly connectTimeoutMs: number;
  /**
   * In ms; 0 = off. Started when bytes may flow, started again by every byte that comes from a peer and every byte that a
   * peer acknowledges: a slow reader with megabytes in the kernel's buffer is not idle. One that reads nothing is, though
   * its kernel answers, and so is one whose only sign of life is keepalive. Checked once a second.
   */
  readonly idleTimeoutMs: number;
  /**
   * In ms; 0 = off. Started when one side sent its end, started again by the same as the idle time. Checked once a second.
   */
  readonly halfCloseTimeoutMs: number;
  /**
   * In ms; 0 = off. Started when a peer owes an acknowledgement of bytes or of an end, started again by anything that comes
   * from it, stopped when it acknowledged everything. Then it has vanished: `client_reset` or `backend_reset`. Checked for
   * each connection every sixth of the shortest of these three timers, from once a second to once in ten.
   */
  readonly unackedTimeoutMs: number;
  /** Client connections held at most, > 0; further ones are refused. Two descriptors each. */
  readonly maxConnections: number;
  /**
   * Receives every event, in the order in which things happened, as one batch per loop turn at most, of 256 events at most,
   * so that others have their turn when thousands end at once; never called re-entrantly from a method of the engine. A turn
   * with an event that a client waits for, `accepted`, `preread`, `connectFailed`, `settled` or `closed` of a contended
   * connection, delivers at its end, or, for `accepted`, when no more clients come, at most 1 ms later; the others come
   * along, or within 5 ms. Event objects, their bytes and the array are the receiver's.
   */
  readonly onEvents: (events: readonly DataPlaneEvent[]) => void;
  /**
   * The engine gave its listening sockets up because of `acceptBelow`, and needs them again: `listen` is to be called for
   * each, with a new handle. An engine that can pause a socket never asks; one that cannot ignores `acceptBelow` without
   * this.
   */
  readonly onReopen?: () => void;
}

/**
 * For a listener that must look at a client's first bytes before it picks (PROXY protocol, TLS server name). Its clients
 * are told (`accepted`) when first bytes are there, when their end came before any, when `timeoutMs` are over, or when
 * accepting is stopped: a drain then knows everybody who is held. Until then they count towards `maxConnections` and in
 * `size`, and one that resets is gone without a word, as it never had a number.
 */
export interface PrereadOptions {
  /** An integer, 1 to `MAX_PREREAD_BYTES`. So much is kept at most; the rest stays in the kernel until bytes may flow. */
  readonly maxBytes: number;
  /** In ms, > 0, up to 2^31 - 1. Started by the accept, for all of the preread; stopped by nothing but `connected` or `closed`. */
  readonly timeoutMs: number;
}

export const MAX_PREREAD_BYTES = 64 * 1024;

/** Node's timers take no more. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** What is wrong with options, for whoever wrote them; '': nothing. */
export function prereadProblem({ maxBytes, timeoutMs }: PrereadOptions): string {
  if (!Number.isInteger(maxBytes) || maxBytes < 1 || maxBytes > MAX_PREREAD_BYTES)
    return `maxBytes of a preread is ${maxBytes}: give an integer from 1 to ${MAX_PREREAD_BYTES}`;
  if (!(timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS))
    return `timeoutMs of a preread is ${timeoutMs}: give more than 0, up to ${MAX_TIMEOUT_MS}`;
  return '';
}

/** How a client gets a backend. */
export type Dial<Handle = unknown> = DialOptions &
  (
    | { readonly to: Endpoint; readonly socket?: undefined }
    /**
     * Of a connection to the backend that is open already, and of which nothing has been read here: out of a pool, or one
     * that the backend made. It is taken over, whatever comes of it.
     */
    | { readonly socket: Handle; readonly to?: undefined }
  );

export interface DialOptions {
  /** Bytes of ours that the backend gets before anything of the client's; not counted as the client's. */
  readonly prefix?: Uint8Array | undefined;
  /** Bytes of the preread, from its first on, that the backend does not get. Default: 0. */
  readonly skip?: number | undefined;
  /** Others may be waiting for the backend's slot. Default: false. */
  readonly contended?: boolean;
}

/** What a `prefix` may have at most. */
export const MAX_PREFIX_BYTES = 64 * 1024;

/** `Handle` is a socket, bound to listen or connected, as the platform passes it between processes. */
export interface DataPlane<Handle = unknown> {
  /**
   * Starts to accept on a bound socket. Resolves when the kernel queues clients; `listener` is echoed in `accepted`.
   * `preread`: clients are told with their first bytes. Rejects with EDGE_ERR_INTERNAL when its values are out of range.
   */
  listen(handle: Handle, listener: number, preread?: PrereadOptions): Promise<void>;
  /**
   * Accepts no more; the shared socket stays open elsewhere. Open connections go on. Clients whose preread is awaited are
   * told with what came so far, perhaps nothing; `prereadMore` waits on for the rest of their time.
   */
  stopAccepting(): void;
  /**
   * Sets the connection cap. While it holds `connections` or more that were told, or `maxConnections`, clients are left to
   * the other processes that accept on the same sockets; those that have waited for 100 ms are taken, or refused, all the
   * same, some at a time, for the others may hang. 0: no cap.
   */
  acceptBelow(connections: number): void;
  /**
   * The preread so far is not enough to decide. Ends in one `preread`, or in `closed`: `preread` comes when at least one more byte
   * is there, or with `complete` when there will be none, because there are `maxBytes`, the client sent its end, or its
   * `timeoutMs` are over; at once when that is so already. Calls before the answer count as one. `connect`, `reject` and
   * `close` take it back: then there is no `preread`. Ignored as they are, and for clients of a listener without preread.
   */
  prereadMore(conn: Conn): void;
  /**
   * Dials for an accepted client that is neither dialling nor connected. Ends in `connected`, `connectFailed` or `closed`.
   * Ignored, as `reject` is, for a connection that is ending already: its `closed` is on the way. With a `socket` it ends
   * with `rttMs` 0, or fails with ENOTCONN when its peer has reset it. EINVAL: there is no such endpoint, `prefix` has more
   * than `MAX_PREFIX_BYTES`, or `skip` is no integer from 0 to the length of the preread that was told.
   *
   * The backend gets `prefix`, then all but the first `skip` bytes of the preread, which count as bytes to the backend, and
   * then what else the client sends. The preread outlives a failed dial, for which the next may skip another number of
   * bytes. `prefix` is given with each, and not to be changed before its outcome.
   *
   * `contended`: the client comes again, perhaps through another process, as soon as it learns that this connection is over.
   * So `closed` is told before: first the backend's descriptor is closed, then `closed` delivered, and then the client gets
   * its end or reset.
   */
  connect(conn: Conn, dial: Dial<Handle>): void;
  /**
   * A client that is neither dialling nor connected will wait for long: from now on its reset ends in `closed`
   * (`client_reset`) as it comes, not only at the next `connect`. Its end, behind a request, is none. `stream`, which cannot
   * see a reset without reading what came before, looks once a second, asked or not, and sees it only where the platform
   * tells. Costs a system call, so it is for those whose answer does not come at once.
   */
  watchHangUp(conn: Conn): void;
  /** Turns away an accepted client that is neither dialling nor connected. Ends in `closed`. */
  reject(conn: Conn, how: RejectHow): void;
  /** Resets both sides of a connection in any state. Ends in `closed`. Unknown numbers are ignored, as races make them. */
  close(conn: Conn): void;
  /**
   * Ends in one `settled`, which comes behind everything that the sockets had to tell when this was called. What
   * a peer did before somebody asked for this is known then, unless bytes are still on their way to the other side.
   */
  settle(): void;
  /** Connections between `accepted` and `closed`, and clients that are to be told when their preread is there. */
  readonly size: number;
}
