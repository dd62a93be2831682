// Runs in: primary
import { workerShare } from '../domain/worker-share.ts';
import type { Boundary } from './ports/boundary.ts';

interface Member {
  /** What it was told last. */
  share: number;
  readonly tell: (share: number) => void;
}

/**
 * Keeps connections spread over the workers. They accept from one socket, and the one that is awake takes what is there;
 * so each is told how many it may hold before it leaves clients to the others. Only the primary knows what all hold.
 */
export class ShareClients {
  readonly #heldBy: (incarnation: number) => number;
  readonly #boundary: Boundary;
  readonly #members = new Map<number, Member>();

  /** `heldBy`: slots that a worker holds. */
  constructor(heldBy: (incarnation: number) => number, boundary: Boundary) {
    this.#heldBy = heldBy;
    this.#boundary = boundary;
  }

  /** The worker accepts. `tell` passes on how many connections it may hold; 0: as many as come. */
  join(incarnation: number, tell: (share: number) => void): void {
    this.#members.set(incarnation, { share: 0, tell });
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
    const share = workerShare(held, this.#members.size);
    for (const member of this.#members.values()) {
      if (!isWorthTelling(member.share, share)) continue;
      member.share = share;
      this.#boundary.run('worker', () => member.tell(share));
    }
  }
}

/**
 * Not every connection: a message wakes the worker. Workers never wait for one another because of that: when all hold what
 * they were told, the mean is at least the least of it, and the share more above the mean than a change may go untold.
 */
function isWorthTelling(told: number, share: number): boolean {
  if (told === 0 || share === 0) return told !== share;
  return Math.abs(share - told) >= Math.max(4, told / 32);
}
