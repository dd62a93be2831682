/**
 * The data plane port: everything above sockets speaks to an engine through it, so that engines can be exchanged and
 * proved with one conformance suite. Connections are small positive integers here; no socket object crosses the port.
 *
 * An engine keeps a number busy from `accepted` until it has delivered `closed` for it, and may use it again afterwards.
 */

/** A connection on this port. An integer from 1 up, unique among the open ones of its engine. */
export type Conn = number;

export interface Endpoint {
  /** An IP literal; engines never resolve names. */
  readonly host: string;
  readonly port: number;
}

/** How a client that gets no backend is turned away: an orderly end (FIN), or a reset (RST). */
export type RejectHow = 'close' | 'reset';

export type CloseReason =
  /** both sides sent their end */
  | 'finished'
  /** the client reset the connection, or vanished */
  | 'client_reset'
  /** the backend reset the connection, or vanished */
  | 'backend_reset'
  /** no byte either way for the idle time */
  | 'idle_timeout'
  /** one side was done and the other stayed silent for the half-close time */
  | 'half_close_timeout'
  /** `close(conn)` was called: the drain deadline, or a stop */
  | 'drained'
  /** `reject(conn)` was called */
  | 'rejected';

export type DataPlaneEvent =
  /** A client is here; the engine reads nothing from it until it is connected. `address`: the peer's, as text. */
  | { readonly type: 'accepted'; readonly conn: Conn; readonly listener: number; readonly address: string }
  /** The backend accepted and bytes flow. `rttMs`: from dial to accept. */
  | { readonly type: 'connected'; readonly conn: Conn; readonly rttMs: number }
  /** The dial failed; the client is still held, and `connect` or `reject` may follow. `code`: `ECONNREFUSED`, `ETIMEDOUT`, ... */
  | { readonly type: 'connectFailed'; readonly conn: Conn; readonly code: string }
  /** The last event of a connection: all its descriptors are closed. */
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
  /** A client was accepted and closed at once, because the descriptor budget is spent. It never had a number. */
  | { readonly type: 'refused'; readonly listener: number; readonly address: string };

export interface DataPlaneOptions {
  /** Per dial, in ms, > 0. Started by `connect`, stopped by the backend's answer. */
  readonly connectTimeoutMs: number;
  /** In ms; 0 = off. Started when bytes may flow, started again by every byte either way. Checked once a second. */
  readonly idleTimeoutMs: number;
  /** In ms; 0 = off. Started when one side sent its end, started again by every byte of the other. Checked once a second. */
  readonly halfCloseTimeoutMs: number;
  /** Client connections held at most, > 0; further ones are refused. Two descriptors each. */
  readonly maxConnections: number;
  /**
   * Receives every event, in the order in which things happened, as one batch per loop turn at most; never called
   * re-entrantly from a method of the engine. A turn with an event that a client waits for, `accepted` or
   * `connectFailed`, delivers at its end; the others come along, or within 5 ms. Event objects and the array are the
   * receiver's.
   */
  readonly onEvents: (events: readonly DataPlaneEvent[]) => void;
}

/** `Handle` is a bound listening socket as the platform passes it between processes. */
export interface DataPlane<Handle = unknown> {
  /** Starts to accept on a bound socket. Resolves when the kernel queues clients; `listener` is echoed in `accepted`. */
  listen(handle: Handle, listener: number): Promise<void>;
  /** Accepts no more; the shared socket stays open elsewhere. Open connections go on. */
  stopAccepting(): void;
  /**
   * Dials for an accepted client that is neither dialling nor connected. Ends in `connected`, `connectFailed` or `closed`.
   * Ignored, as `reject` is, for a connection that is ending already: its `closed` is on the way.
   */
  connect(conn: Conn, to: Endpoint): void;
  /** Turns away an accepted client that is neither dialling nor connected. Ends in `closed`. */
  reject(conn: Conn, how: RejectHow): void;
  /** Resets both sides of a connection in any state. Ends in `closed`. Unknown numbers are ignored, as races make them. */
  close(conn: Conn): void;
  /** Connections between `accepted` and `closed`. */
  readonly size: number;
}
