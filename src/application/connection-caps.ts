// Runs in: primary
import { connectionCap } from '../domain/connection-cap.ts';
import type { Boundary } from './ports/boundary.ts';

interface Member {
  /** What it was told last. */
  cap: number;
  readonly tell: (cap: number) => void;
}

/**
 * Keeps connections spread over the workers. They accept from one socket, and the one that is awake takes what is there;
 * so each has a connection cap: how many it may hold before it leaves clients to the others. Only the primary knows what
 * all hold.
 */
export class ConnectionCaps {
  readonly #heldBy: (incarnation: number) => number;
  readonly #boundary: Boundary;
  readonly #members = new Map<number, Member>();

  /** `heldBy`: slots that a worker holds. */
  constructor(heldBy: (incarnation: number) => number, boundary: Boundary) {
    this.#heldBy = heldBy;
    this.#boundary = boundary;
  }

  /** The worker accepts. `tell` passes on how many connections it may hold; 0: as many as come. */
  join(incarnation: number, tell: (cap: number) => void): void {
    this.#members.set(incarnation, { cap: 0, tell });
    this.update();
  }

  /** The worker accepts no more. */
  leave(incarnation: number): void {
    if (this.#members.delete(incarnation)) this.update();
  }

  /** To be called after slots were taken or given back. */
  update(): void {
    let held = 0;
    for (const incarnation of this.#members.keys()) held += this.#heldBy(incarnation);
    const cap = connectionCap(held, this.#members.size);
    for (const member of this.#members.values()) {
      if (!isWorthTelling(member.cap, cap)) continue;
      member.cap = cap;
      this.#boundary.run('worker', () => member.tell(cap));
    }
  }
}

/**
 * Not every connection: a message wakes the worker. Workers never wait for one another because of that: when all hold what
 * they were told, the mean is at least the least of it, and the cap more above the mean than a change may go untold.
 */
function isWorthTelling(told: number, cap: number): boolean {
  if (told === 0 || cap === 0) return told !== cap;
  return Math.abs(cap - told) >= Math.max(4, told / 32);
}
