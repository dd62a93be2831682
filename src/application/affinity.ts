// Runs in: primary

// The states of a client's binding, and what becomes of it. It is of a backend A; `unproven` until A accepts a connection,
// `proven` then. Beside that it may be `moving` to a backend B: A failed a connection, which now tries B.
//
//   what happens                             none            unproven on A           proven on A
//   ---------------------------------------  --------------  ----------------------  ----------------------
//   take, no binding: assigned A             unproven on A   -                       -
//     the table is full of held bindings     none            -                       -
//   take `bound`, or `overflow` elsewhere    -               the same                the same
//   take `rebound` to B: A is gone           -               unproven on B           proven on B
//   take `retried` to B: A failed it         -               and moving to B         and moving to B
//     A did not fail it, or is moving to     -               the same                the same
//     another, which did not fail it, and
//     is up: it is merely full
//   proved on A                              -               proven on A             the same
//   proved on B, as a part of a move         -               proven on B (1)         proven on B (1)
//   proved elsewhere: overflow, a retry      -               the same                the same
//     that is part of no move
//   giveBack, a lease of the move (2)        -               as without a move       as without a move
//   giveBack, the last lease                 -               none                    the same; its TTL begins
//   TTL over, or evicted: without a lease    -               (never without one)     none
//
// (1) The move is over. If the binding left A meanwhile, it stays where it went: the first move to arrive wins.
// (2) The last one of those that carry the move: it came to nothing.
import { type FailedDial, isToBlame } from '../domain/blame.ts';
import type { Lease } from '../domain/connection-ledger.ts';
import { NumberMap } from '../domain/number-map.ts';
import type { Decision } from './decide-backend.ts';
import type { BindingRef, BindingRepository } from './ports/binding-repository.ts';

/** A binding on its way from a backend that failed to another one: `moving` above. */
interface Move {
  readonly from: string;
  readonly to: string;
  /** Leases that carry it there. */
  leases: number;
}

/** How connections make, keep, move and forget the bindings of their clients. */
export class Affinity {
  readonly #bindings: BindingRepository;
  readonly #isUp: (backendId: string, app: string) => boolean;
  /** The latest move of each binding. Bounded by the leases. */
  readonly #moves = new Map<BindingRef, Move>();
  /** The moves that leases carry: few do. */
  readonly #carried = new Map<Lease, Move>();
  /** Bindings whose backend accepted no connection yet. Bounded by the leases. */
  readonly #unproven = new NumberMap<true>();

  /** `isUp`: whether a backend may serve the bound clients of an app. */
  constructor(bindings: BindingRepository, isUp: (backendId: string, app: string) => boolean) {
    this.#bindings = bindings;
    this.#isUp = isUp;
  }

  /** Where the client of `binding`, whose backend just failed, is moving to; `''` when it is not. */
  movingTo(binding: BindingRef): string {
    const move = this.#moves.get(binding);
    return move !== undefined && move.from === this.#bindings.backendOf(binding) ? move.to : '';
  }

  /**
   * The binding of a new lease's client, made or moved if the decision calls for it. It lives at least as long as the lease;
   * 0: the table has no room for one.
   */
  take(
    lease: Lease,
    { client, binding: found, why }: Decision,
    backendId: string,
    tried: readonly FailedDial[],
    now: number,
  ): BindingRef {
    const binding = found === 0 ? this.#bind(client, backendId, now) : found;
    if (binding === 0) return 0;
    // Its backend is gone, so there is nothing to keep: the client's next connection must agree with this one already.
    if (why === 'rebound') this.#bindings.move(binding, backendId, now);
    this.#bindings.acquire(binding);
    if (why === 'retried') this.#joinMove(lease, binding, backendId, client.app, tried);
    return binding;
  }

  /** The backend of a lease accepted: a binding that the lease was moving there has arrived. */
  proved(lease: Lease, binding: BindingRef, backendId: string, now: number): void {
    if (binding === 0) return;
    const move = this.#moveOf(lease);
    if (move !== undefined) {
      if (this.#bindings.backendOf(binding) === move.from) this.#bindings.move(binding, move.to, now);
      // Over, although the lease lives on: should this backend fail in its turn, the binding may move again.
      if (this.#moves.get(binding) === move) this.#moves.delete(binding);
    }
    if (this.#unproven.size > 0 && this.#bindings.backendOf(binding) === backendId) this.#unproven.delete(binding);
  }

  /** The lease is over. */
  giveBack(lease: Lease, binding: BindingRef, now: number): void {
    if (binding === 0) return;
    const move = this.#moveOf(lease);
    if (move !== undefined) {
      this.#carried.delete(lease);
      if (--move.leases === 0 && this.#moves.get(binding) === move) this.#moves.delete(binding);
    }
    this.#bindings.release(binding, now);
    // Nobody got through by it and nobody is trying: the binding would only send the client to a dead backend first.
    if (this.#unproven.has(binding) && this.#bindings.openConnections(binding) === 0) {
      this.#unproven.delete(binding);
      this.#bindings.remove(binding);
    }
  }

  #moveOf(lease: Lease): Move | undefined {
    return this.#carried.size === 0 ? undefined : this.#carried.get(lease);
  }

  #bind(client: Decision['client'], backendId: string, now: number): BindingRef {
    const binding = this.#bindings.bind(client, backendId, client.geo?.country ?? null, now);
    if (binding !== 0) this.#unproven.set(binding, true);
    return binding;
  }

  /**
   * The move that this attempt, if it connects, completes: only when the bound backend itself failed, and then all of the
   * client's connections move to the one backend that the first of them was given, unless that one fails them too.
   */
  #joinMove(lease: Lease, binding: BindingRef, to: string, app: string, tried: readonly FailedDial[]): void {
    const from = this.#bindings.backendOf(binding);
    if (!isToBlame(from, tried)) return;
    let move = this.#moves.get(binding);
    if (move === undefined || move.from !== from || move.to !== to) {
      // Merely full: those that hold its slots take the binding there.
      if (move !== undefined && move.from === from && !isToBlame(move.to, tried) && this.#isUp(move.to, app)) return;
      move = { from, to, leases: 0 };
      this.#moves.set(binding, move);
    }
    move.leases++;
    this.#carried.set(lease, move);
  }
}
