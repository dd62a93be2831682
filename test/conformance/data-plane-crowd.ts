import type { Test } from 'tap';
import { descriptorLimit } from '../../src/adapters/outbound/descriptor-limit.ts';
import type { Conn, DataPlaneEvent } from '../../src/application/ports/data-plane.ts';
import { blackhole } from './data-plane-blackhole.ts';
import { backend, client, type MakeEngine, type Peer, Rig } from './data-plane-rig.ts';

/** Connections whose time is over at the same moment: to close them takes many times the share of one turn. */
const CROWD = 1000;

/** That come side by side, below what a listening socket queues. */
const AT_ONCE = 50;

/** Both ends of both sides are in this process. */
const DESCRIPTORS = 4 * CROWD + 500;

/** Events of one delivery, at most. */
const MOST = 256;

/** Each of them may be served once in a turn. */
const LISTENERS = 20;

/** Clients that come when the first of the crowd was told. */
const NEWCOMERS = 8;

/** Many that end together: the others have their turn in between. */
export function crowdSuite(t: Test, make: MakeEngine): void {
  const skip = descriptorLimit() < DESCRIPTORS && `needs ${DESCRIPTORS} descriptors (ulimit -n)`;
  const options = { maxConnections: 2 * CROWD };

  t.test('clients are accepted while a crowd expires', { skip }, async (t) => {
    const crowd = new Crowd('closed');
    const rig = await Rig.start(t, make, { ...options, halfCloseTimeoutMs: 2000 }, (event) => crowd.saw(event));
    const port = await rig.listen();
    const { clients, conns } = await gather(t, rig, port);
    const last = crowd.awaits(conns, () => comeTo(t, port));
    for (const { socket } of clients) socket.end();
    t.equal(await last, NEWCOMERS, 'all that came at the first were accepted before the last');
  });

  t.test('clients are accepted while the dials of a crowd expire', { skip }, async (t) => {
    const crowd = new Crowd('connectFailed');
    const rig = await Rig.start(t, make, { ...options, connectTimeoutMs: 2000 }, (event) => crowd.saw(event));
    const port = await rig.listen();
    const hole = await blackhole(t);
    const conns: Conn[] = [];
    while (conns.length < CROWD) {
      const some = Array.from({ length: AT_ONCE }, () => client(t, port));
      for (const _ of some) conns.push((await rig.next('accepted')).conn);
      await Promise.all(some);
    }
    const last = crowd.awaits(conns, () => comeTo(t, port));
    for (const conn of conns) rig.connect(conn, hole);
    t.equal(await last, NEWCOMERS, 'all that came at the first were accepted before the last');
  });

  t.test(
    'no more clients are accepted than can be told in a turn, by however many listeners they come',
    { skip },
    async (t) => {
      let accepted = 0;
      let untold = 0;
      const rig = await Rig.start(t, make, options, ({ type }) => {
        if (type === 'accepted') untold = Math.max(untold, rig.engine.size - accepted++);
      });
      const ports = await Promise.all(
        Array.from({ length: LISTENERS }, (_, listener) => rig.listen('127.0.0.1', listener)),
      );
      // In one turn: the kernel has them all before the engine looks.
      for (let i = 0; i < CROWD; i++) void client(t, ports[i % LISTENERS]!);
      for (let i = 0; i < CROWD; i++) await rig.next('accepted');
      t.ok(untold <= MOST, `${untold} of ${CROWD} at most`);
    },
  );

  t.test('the ends of a crowd are told in turns', { skip }, async (t) => {
    const rig = await Rig.start(t, make, options);
    const { conns } = await gather(t, rig, await rig.listen());
    for (const conn of conns) rig.close(conn);
    for (const conn of conns) await rig.closed(conn);
    t.ok(rig.largestBatch <= MOST, `${rig.largestBatch} at most in one turn`);
  });
}

/** Brings a crowd that is connected; its clients and connections, in no order. */
async function gather(t: Test, rig: Rig, port: number): Promise<{ clients: Peer[]; conns: Conn[] }> {
  const to = await backend(t);
  const clients: Peer[] = [];
  const conns: Conn[] = [];
  while (conns.length < CROWD) {
    const some = Array.from({ length: AT_ONCE }, () => client(t, port));
    for (const _ of some) {
      const { conn } = await rig.next('accepted');
      rig.connect(conn, to.port);
      conns.push(conn);
    }
    for (const _ of some) await rig.next('connected');
    clients.push(...(await Promise.all(some)));
  }
  return { clients, conns };
}

function comeTo(t: Test, port: number): void {
  for (let i = 0; i < NEWCOMERS; i++) void client(t, port);
}

/** Connections of which an event is awaited, and the clients that come when the first of them was told. */
class Crowd {
  readonly #type: 'closed' | 'connectFailed';
  readonly #left = new Set<Conn>();
  #come: (() => void) | undefined;
  #newcomers = 0;
  #over = (_newcomers: number) => {};

  constructor(type: 'closed' | 'connectFailed') {
    this.#type = type;
  }

  /** `come` brings clients as soon as one of `conns` was told; resolves to those accepted before the last was. */
  awaits(conns: readonly Conn[], come: () => void): Promise<number> {
    for (const conn of conns) this.#left.add(conn);
    this.#come = come;
    return new Promise((resolve) => {
      this.#over = resolve;
    });
  }

  saw(event: DataPlaneEvent): void {
    if (this.#left.size === 0) return;
    if (event.type === 'accepted') this.#newcomers++;
    if (event.type !== this.#type || !this.#left.delete(event.conn)) return;
    this.#come?.();
    this.#come = undefined;
    if (this.#left.size === 0) this.#over(this.#newcomers);
  }
}
