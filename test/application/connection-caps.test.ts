import fc from 'fast-check';
import t from 'tap';
import { ConnectionCaps } from '../../src/application/connection-caps.ts';
import { countingBoundary } from '../fixtures/boundary.ts';

/** Workers as they are: each takes what it may, and hears of its cap when it is told. */
class Crew {
  readonly held = new Map<number, number>();
  readonly cap = new Map<number, number>();
  readonly caps = new ConnectionCaps((incarnation) => this.held.get(incarnation) ?? 0, countingBoundary());
  messages = 0;

  join(incarnation: number): void {
    this.caps.join(incarnation, (cap) => {
      this.cap.set(incarnation, cap);
      this.messages++;
    });
    if (!this.cap.has(incarnation)) this.cap.set(incarnation, 0);
  }

  /** Connections that the worker takes of `waiting` before the primary hears of them. */
  takes(incarnation: number, waiting: number): number {
    const held = this.held.get(incarnation) ?? 0;
    const cap = this.cap.get(incarnation)!;
    const taken = cap === 0 ? waiting : Math.min(waiting, Math.max(0, cap - held));
    this.held.set(incarnation, held + taken);
    this.caps.update();
    return taken;
  }
}

t.test('one worker is never told anything', async (t) => {
  const crew = new Crew();
  crew.join(1);
  t.equal(crew.takes(1, 1000), 1000);
  t.equal(crew.messages, 0);
});

t.test(
  'however greedy some are, 1000 connections end up at 1.25 of the mean at most, and none is left waiting',
  async () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 4 }),
        fc.array(fc.nat(3), { minLength: 1, maxLength: 50 }),
        (workers, order) => {
          const crew = new Crew();
          for (let worker = 0; worker < workers; worker++) crew.join(worker);
          let waiting = 1000;
          for (let turn = 0; waiting > 0; turn++) {
            // First in the drawn order, which may leave workers out; then all in their turn.
            const worker = turn < order.length ? order[turn]! % workers : turn % workers;
            waiting -= crew.takes(worker, waiting);
            if (turn > 10_000) return false;
          }
          return Math.max(...crew.held.values()) <= (1000 / workers) * 1.25;
        },
      ),
    );
  },
);

t.test('a worker that comes later gets what comes then', async (t) => {
  const crew = new Crew();
  crew.join(1);
  crew.takes(1, 400);
  crew.join(2);
  t.equal(crew.takes(1, 100), 0, 'the one that is ahead leaves them');
  let waiting = 100;
  while (waiting > 0) waiting -= crew.takes(2, waiting);
  t.equal(crew.held.get(2), 100);
});

t.test('one that is alone again is told that it may take all', async (t) => {
  const crew = new Crew();
  crew.join(1);
  crew.join(2);
  t.ok(crew.cap.get(1)! > 0);
  crew.caps.leave(2);
  t.equal(crew.cap.get(1), 0);
});

t.test('small changes are no message', async (t) => {
  const crew = new Crew();
  crew.join(1);
  crew.join(2);
  crew.held.set(1, 500).set(2, 500);
  crew.caps.update();
  const before = crew.messages;
  for (let change = 0; change < 30; change++) {
    crew.held.set(1, 500 + (change % 10));
    crew.caps.update();
  }
  t.equal(crew.messages, before);
});
