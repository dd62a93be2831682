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
import type { Decision } from './decide-backend.ts';
import type { BindingRef, BindingRepository } from './ports/binding-repository.ts';

/** A binding on its way from a backend that failed to another one: `moving` above. */
interface Move {
  readonly from: string;
  readonly to: string;
  /** Leases that carry it there. */
  leases: number;
}

/** What a lease holds of its client's binding, from `take` to `giveBack`. */
export interface Stake {
  /** Lives at least as long as the lease; 0 when the table had no room for one. */
  readonly binding: BindingRef;
  /** `null`: wherever this connection gets, the binding stays. */
  readonly move: Move | null;
}

const NO_STAKE: Stake = { binding: 0, move: null };

/** How connections make, keep, move and forget the bindings of their clients. */
export class Affinity {
  readonly #bindings: BindingRepository;
  /** The latest move of each binding. Bounded by the leases. */
  readonly #moves = new Map<BindingRef, Move>();
  /** Bindings whose backend accepted no connection yet. Bounded by the leases. */
  readonly #unproven = new Set<BindingRef>();

  constructor(bindings: BindingRepository) {
    this.#bindings = bindings;
  }

  /** Where the client of `binding`, whose backend just failed, is moving to; `''` when it is not. */
  movingTo(binding: BindingRef): string {
    const move = this.#moves.get(binding);
    return move !== undefined && move.from === this.#bindings.backendOf(binding) ? move.to : '';
  }

  /** The stake of a new lease; the binding is made, or moved, if the decision calls for it. `isUp`: may serve bound clients. */
  take(
    decision: Extract<Decision, { kind: 'assign' }>,
    tried: readonly FailedDial[],
    isUp: (backendId: string) => boolean,
    now: number,
  ): Stake {
    const { backend, why } = decision;
    const binding = decision.binding === 0 ? this.#bind(decision, now) : decision.binding;
    if (binding === 0) return NO_STAKE;
    // Its backend is gone, so there is nothing to keep: the client's next connection must agree with this one already.
    if (why === 'rebound') this.#bindings.move(binding, backend.id, now);
    this.#bindings.acquire(binding);
    return { binding, move: why === 'retried' ? this.#joinMove(binding, backend.id, tried, isUp) : null };
  }

  /** The backend accepted: a binding that was moving there has arrived. */
  proved({ binding, move }: Stake, backendId: string, now: number): void {
    if (binding === 0) return;
    if (move !== null) {
      if (this.#bindings.backendOf(binding) === move.from) this.#bindings.move(binding, move.to, now);
      // Over, although the lease lives on: should this backend fail in its turn, the binding may move again.
      if (this.#moves.get(binding) === move) this.#moves.delete(binding);
    }
    if (this.#bindings.backendOf(binding) === backendId) this.#unproven.delete(binding);
  }

  /** The lease is over. */
  giveBack({ binding, move }: Stake, now: number): void {
    if (binding === 0) return;
    if (move !== null && --move.leases === 0 && this.#moves.get(binding) === move) this.#moves.delete(binding);
    this.#bindings.release(binding, now);
    // Nobody got through by it and nobody is trying: the binding would only send the client to a dead backend first.
    if (this.#unproven.has(binding) && this.#bindings.openConnections(binding) === 0) {
      this.#unproven.delete(binding);
      this.#bindings.remove(binding);
    }
  }

  #bind({ key, backend, country }: Extract<Decision, { kind: 'assign' }>, now: number): BindingRef {
    const binding = this.#bindings.bind(key, backend.id, country, now);
    if (binding !== 0) this.#unproven.add(binding);
    return binding;
  }

  /**
   * The move that this attempt, if it connects, completes: only when the bound backend itself failed, and then all of the
   * client's connections move to the one backend that the first of them was given, unless that one fails them too.
   */
  #joinMove(
    binding: BindingRef,
    to: string,
    tried: readonly FailedDial[],
    isUp: (backendId: string) => boolean,
  ): Move | null {
    const from = this.#bindings.backendOf(binding);
    if (!isToBlame(from, tried)) return null;
    const underWay = this.#moves.get(binding);
    if (underWay !== undefined && underWay.from === from) {
      if (underWay.to === to) {
        underWay.leases++;
        return underWay;
      }
      // Merely full: those that hold its slots take the binding there.
      if (!isToBlame(underWay.to, tried) && isUp(underWay.to)) return null;
    }
    const move: Move = { from, to, leases: 1 };
    this.#moves.set(binding, move);
    return move;
  }
}
