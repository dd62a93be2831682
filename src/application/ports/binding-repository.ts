import type { ClientKey } from '../../domain/entities.ts';
import type { CountryCode } from '../../domain/value-objects.ts';

/**
 * A handle on one stored binding, valid until that binding is evicted, expires or is removed. A binding with an open
 * connection (`acquire`d more often than `release`d) is none of these, so that a connection may keep its handle.
 */
export type BindingRef = number;

/**
 * Which backend each client sticks to.
 *
 * Synchronous, whatever keeps the bindings: a pick finds the binding, reserves the slot and writes the binding in one step.
 * With a wait between them, two first connections of one client would get two backends, and a hard limit could be passed. So
 * a store that others share (another POP, a database) stands behind a copy in memory that answers, and is written to and
 * read from beside the picks.
 *
 * A key is the caller's, and may be another one's after the call.
 *
 * Bounded: a full table gives up its least recently seen binding without an open connection. All times are milliseconds of
 * one monotonic clock, passed in.
 */
export interface BindingRepository {
  /** The live binding of `key`, or 0. One that has been idle for the TTL or longer is dropped and not found. */
  find(key: ClientKey, now: number): BindingRef;
  /**
   * Binds `key`, which must have no live binding, to `backendId`. Returns 0, and stores nothing, when the table is full of
   * bindings with open connections. `country`, two letters, is where the client is; `null`: not known.
   */
  bind(key: ClientKey, backendId: string, country: CountryCode | null, now: number): BindingRef;
  backendOf(ref: BindingRef): string;
  /**
   * Where the client was when it was bound: it keeps the country of its first connection for as long as its binding lives,
   * wherever that moves. So nobody who is bound is looked up again, and what another GeoIP file says is for new clients.
   */
  countryOf(ref: BindingRef): CountryCode | null;
  /** Since when the client is bound to this backend. */
  boundAt(ref: BindingRef): number;
  /** Last activity; while connections are open that is now, and the caller sees `openConnections` > 0. */
  lastSeenAt(ref: BindingRef): number;
  openConnections(ref: BindingRef): number;
  /** Moves the binding to another backend, to which the client is bound from `now` on. */
  move(ref: BindingRef, backendId: string, now: number): void;
  /** A connection of the client opened: the binding cannot expire nor be evicted before its `release`. */
  acquire(ref: BindingRef): void;
  /** A connection of the client closed at `now`: the TTL starts again when it was the last one. */
  release(ref: BindingRef, now: number): void;
  /** Forgets a binding that has no open connection; does nothing to one that has. */
  remove(ref: BindingRef): void;
  /** Frees at most `limit` expired bindings, oldest first; returns how many. Fewer than `limit` means that it is done. */
  sweep(now: number, limit: number): number;
  readonly size: number;
  /** Bindings given up because the table was full. */
  readonly evictions: number;
}
