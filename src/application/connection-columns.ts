// Runs in: primary
import type { FailedDial } from '../domain/blame.ts';
import type { ClientAddress } from '../domain/client-address.ts';
import type { Lease } from '../domain/connection-ledger.ts';
import { numberOfCountry } from '../domain/countries.ts';
import { PICK_REASONS, type PickReason } from '../domain/entities.ts';
import { CHUNK_SIZE, type Columns, positionOf, type RefPool } from '../domain/ref-pool.ts';
import type { BindingRef } from './ports/binding-repository.ts';

/** Columns of one chunk of leases, in one buffer: each typed array of its own costs some 200 bytes of headers. */
class Chunk {
  /** On the primary's clock. */
  readonly pickedAt: Float64Array;
  /** Four words a lease. */
  readonly address: Uint32Array;
  readonly binding: Uint32Array;
  readonly routingVersion: Uint32Array;
  /** Position in the configured listeners. */
  readonly listener: Uint16Array;
  /** As `numberOfCountry` has it. */
  readonly country: Uint16Array;
  readonly family: Uint8Array;
  /** Position in `PICK_REASONS`. */
  readonly why: Uint8Array;
  /** 1: the backend accepted. */
  readonly connected: Uint8Array;
  /** Ids, by the table's own strings: when a lease is over, its slot may be another backend's. */
  readonly backends: string[];

  constructor() {
    const buffer = new ArrayBuffer(CHUNK_SIZE * (8 + 6 * 4 + 2 * 2 + 3));
    this.pickedAt = new Float64Array(buffer, 0, CHUNK_SIZE);
    this.address = new Uint32Array(buffer, CHUNK_SIZE * 8, CHUNK_SIZE * 4);
    this.binding = new Uint32Array(buffer, CHUNK_SIZE * 24, CHUNK_SIZE);
    this.routingVersion = new Uint32Array(buffer, CHUNK_SIZE * 28, CHUNK_SIZE);
    this.listener = new Uint16Array(buffer, CHUNK_SIZE * 32, CHUNK_SIZE);
    this.country = new Uint16Array(buffer, CHUNK_SIZE * 34, CHUNK_SIZE);
    this.family = new Uint8Array(buffer, CHUNK_SIZE * 36, CHUNK_SIZE);
    this.why = new Uint8Array(buffer, CHUNK_SIZE * 37, CHUNK_SIZE);
    this.connected = new Uint8Array(buffer, CHUNK_SIZE * 38, CHUNK_SIZE);
    this.backends = new Array<string>(CHUNK_SIZE).fill('');
  }
}

const NO_DIALS: readonly FailedDial[] = [];

/**
 * What is known of each connection that has a lease, beside the ledger's own columns and by the same refs: what its access
 * record will say, and what it holds of its client's binding.
 */
export class ConnectionColumns {
  readonly #columns: Columns<Chunk>;
  /** Dials that failed, of the few connections that had any. */
  readonly #tried = new Map<Lease, FailedDial[]>();

  constructor(leases: RefPool) {
    this.#columns = leases.columns(() => new Chunk());
  }

  /** Writes what a lease begins with: it has no binding, and is not connected. `listener`: its position. */
  enter(
    lease: Lease,
    listener: number,
    address: ClientAddress,
    country: string | null,
    backendId: string,
    why: PickReason,
    routingVersion: number,
    now: number,
    tried: readonly FailedDial[],
  ): void {
    const chunk = this.#columns.of(lease);
    const at = positionOf(lease);
    chunk.pickedAt[at] = now;
    chunk.address[4 * at] = address.w0;
    chunk.address[4 * at + 1] = address.w1;
    chunk.address[4 * at + 2] = address.w2;
    chunk.address[4 * at + 3] = address.w3;
    chunk.binding[at] = 0;
    chunk.routingVersion[at] = routingVersion;
    chunk.listener[at] = listener;
    chunk.country[at] = numberOfCountry(country);
    chunk.family[at] = address.family;
    chunk.why[at] = PICK_REASONS.indexOf(why);
    chunk.connected[at] = 0;
    chunk.backends[at] = backendId;
    if (tried.length > 0) this.#tried.set(lease, [...tried]);
  }

  /** 0: the table of bindings had no room for one. */
  bindingOf(lease: Lease): BindingRef {
    return this.#columns.of(lease).binding[positionOf(lease)]!;
  }

  setBinding(lease: Lease, binding: BindingRef): void {
    this.#columns.of(lease).binding[positionOf(lease)] = binding;
  }

  isConnected(lease: Lease): boolean {
    return this.#columns.of(lease).connected[positionOf(lease)] === 1;
  }

  setConnected(lease: Lease): void {
    this.#columns.of(lease).connected[positionOf(lease)] = 1;
  }

  backendOf(lease: Lease): string {
    return this.#columns.of(lease).backends[positionOf(lease)]!;
  }

  /** Its position in the configured listeners. */
  listenerOf(lease: Lease): number {
    return this.#columns.of(lease).listener[positionOf(lease)]!;
  }

  /** As `numberOfCountry` has it. */
  countryOf(lease: Lease): number {
    return this.#columns.of(lease).country[positionOf(lease)]!;
  }

  whyOf(lease: Lease): PickReason {
    return PICK_REASONS[this.#columns.of(lease).why[positionOf(lease)]!]!;
  }

  routingVersionOf(lease: Lease): number {
    return this.#columns.of(lease).routingVersion[positionOf(lease)]!;
  }

  /** On the primary's clock. */
  pickedAt(lease: Lease): number {
    return this.#columns.of(lease).pickedAt[positionOf(lease)]!;
  }

  /** Dials of the connection that failed. */
  triedOf(lease: Lease): readonly FailedDial[] {
    return this.#tried.size === 0 ? NO_DIALS : (this.#tried.get(lease) ?? NO_DIALS);
  }

  addTried(lease: Lease, dial: FailedDial): void {
    const tried = this.#tried.get(lease);
    if (tried === undefined) this.#tried.set(lease, [dial]);
    else tried.push(dial);
  }

  readAddress(lease: Lease, into: { -readonly [Field in keyof ClientAddress]: ClientAddress[Field] }): void {
    const { address, family } = this.#columns.of(lease);
    const at = positionOf(lease);
    into.family = family[at] === 4 ? 4 : 6;
    into.w0 = address[4 * at]!;
    into.w1 = address[4 * at + 1]!;
    into.w2 = address[4 * at + 2]!;
    into.w3 = address[4 * at + 3]!;
  }

  /** Lets go of what would live on: of strings of a table that may have been replaced, too. */
  forget(lease: Lease): void {
    this.#columns.of(lease).backends[positionOf(lease)] = '';
    if (this.#tried.size > 0) this.#tried.delete(lease);
  }
}
