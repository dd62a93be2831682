import type { Test } from 'tap';
import { descriptorLimit } from '../../src/adapters/outbound/descriptor-limit.ts';
import type { Conn, DataPlaneEvent } from '../../src/application/ports/data-plane.ts';
import { blackhole } from './data-plane-blackhole.ts';
import { backend, client, type MakeEngine, type Pair, pair, Rig } from './data-plane-rig.ts';

/** Connections whose time is over at the same moment: to close them takes many times the share of one turn. */
const CROWD = 1500;

/** Both ends of both sides are in this process. */
const DESCRIPTORS = 4 * CROWD + 500;

/** Events of one delivery, at most. */
const MOST = 256;

/** Many that end together: the others have their turn in between. */
export function crowdSuite(t: Test, make: MakeEngine): void {
  const skip = descriptorLimit() < DESCRIPTORS && `needs ${DESCRIPTORS} descriptors (ulimit -n)`;
  const options = { maxConnections: 2 * CROWD };

  t.test('clients are accepted while a crowd expires', { skip }, async (t) => {
    const crowd = new Crowd();
    const rig = await Rig.start(t, make, { ...options, halfCloseTimeoutMs: 2000 }, (event) => crowd.saw(event));
    const port = await rig.listen();
    const links = await gather(t, rig, port);
    for (const link of links) link.client.socket.end();
    const conns = links.map(({ conn }) => conn);
    t.ok((await crowd.comeMeanwhile(t, rig, port, 'closed', conns)) > 0);
  });

  t.test('clients are accepted while the dials of a crowd expire', { skip }, async (t) => {
    const crowd = new Crowd();
    const rig = await Rig.start(t, make, { ...options, connectTimeoutMs: 2000 }, (event) => crowd.saw(event));
    const port = await rig.listen();
    const hole = await blackhole(t);
    const conns: Conn[] = [];
    for (let i = 0; i < CROWD; i++) {
      await client(t, port);
      conns.push((await rig.next('accepted')).conn);
    }
    for (const conn of conns) rig.connect(conn, hole);
    t.ok((await crowd.comeMeanwhile(t, rig, port, 'connectFailed', conns)) > 0);
  });

  t.test('the ends of a crowd are told in turns', { skip }, async (t) => {
    const rig = await Rig.start(t, make, options);
    const links = await gather(t, rig, await rig.listen());
    for (const { conn } of links) rig.close(conn);
    for (const { conn } of links) await rig.closed(conn);
    t.ok(rig.largestBatch <= MOST, `${rig.largestBatch} at most in one turn`);
  });
}

async function gather(t: Test, rig: Rig, port: number): Promise<Pair[]> {
  const to = await backend(t);
  const links: Pair[] = [];
  for (let i = 0; i < CROWD; i++) links.push(await pair(t, rig, port, to));
  return links;
}

type Last = 'closed' | 'connectFailed';

/** Connections of which something is awaited, and the clients that come meanwhile. */
class Crowd {
  #left = new Set<Conn>();
  #size = 0;
  #type: Last = 'closed';
  #between = 0;

  saw(event: DataPlaneEvent): void {
    if (event.type === this.#type) this.#left.delete(event.conn);
    else if (event.type === 'accepted' && this.#left.size > 0 && this.#left.size < this.#size) this.#between++;
  }

  /** Clients come one after the other until `type` was told of all of `conns`; how many between the first and the last. */
  async comeMeanwhile(t: Test, rig: Rig, port: number, type: Last, conns: readonly Conn[]): Promise<number> {
    this.#type = type;
    this.#left = new Set(conns);
    this.#size = conns.length;
    while (this.#left.size > 0) {
      const near = await client(t, port);
      rig.reject((await rig.next('accepted')).conn, 'reset');
      await near.read().closed;
    }
    return this.#between;
  }
}
