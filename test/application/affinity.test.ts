import t from 'tap';
import { MemoryBindings } from '../../src/adapters/outbound/memory-bindings/memory-bindings.ts';
import { Affinity } from '../../src/application/affinity.ts';
import { Decision } from '../../src/application/decide-backend.ts';
import { clientKey } from '../../src/domain/client-key.ts';
import type { PickReason } from '../../src/domain/entities.ts';
import { clientAddress } from '../domain/arbitraries.ts';
import { Rig, TTL_MS } from './rig.ts';

const ME = '10.0.0.1';
const NEIGHBOUR = '10.0.0.2';

/** Two backends of which the first is the better one, until it has a connection. */
const A_THEN_B = [
  { id: 'a', weight: 1000 },
  { id: 'b', region: 'us' as const },
];
const A_B_C = [...A_THEN_B, { id: 'c', region: 'ap' as const }];

t.test('a client keeps its backend, for its whole TTL after the last activity', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a', hardLimit: 1 }, { id: 'b' }]);
  const first = rig.got(1, ME).split(' ')[0]!;
  rig.connected(1);
  rig.now += 10 * TTL_MS;
  t.equal(rig.boundTo(ME), first, 'an open connection is activity');
  rig.closed(1);
  rig.now += TTL_MS - 1;
  t.equal(rig.got(2, ME), `${first} bound`);
  rig.connected(2);
  rig.closed(2);
  rig.now += TTL_MS;
  t.equal(rig.boundTo(ME), null, 'expired when it is read, whether or not it was swept');
  t.equal(rig.got(3, ME), `${first} picked`, 'and the tie is broken as the first time');
});

t.test('affinity is per app, per IPv4 address and per IPv6 /64', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a', app: 'game' }]);
  t.equal(rig.got(1, '2001:db8:0:1::1'), 'a picked');
  t.equal(rig.got(2, '2001:db8:0:1:ffff::2'), 'a bound');
  t.equal(rig.got(3, '2001:db8:0:2::1'), 'a picked');
  t.equal(rig.got(4, ME), 'a picked');
  t.equal(rig.got(5, `::ffff:${ME}`), 'a bound');
  t.equal(rig.got(6, ME, { listener: 1 }), 'a picked', "another listener's app");
});

t.test('two first connections of one client get one backend, before either has connected', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }, { id: 'b' }, { id: 'c' }]);
  const backend = rig.got(1, ME).split(' ')[0];
  t.equal(rig.got(2, ME), `${backend} bound`);
  rig.service.workerJoined(2);
  t.equal(rig.got(1, ME, { worker: 2 }), `${backend} bound`, 'of another worker too');
});

for (const [what, rows] of [
  ['unhealthy', [{ id: 'a', healthy: false }, { id: 'b' }]],
  ['deleted', [{ id: 'a', deleted: true }, { id: 'b' }]],
  ['gone from the table', [{ id: 'b' }]],
  [
    'of another app',
    [
      { id: 'a', app: 'other' },
      { id: 'b', app: 'game' },
    ],
  ],
] as const) {
  t.test(`a client whose backend is ${what} is rebound, at once and for all its connections`, async (t) => {
    const listener = what === 'of another app' ? 1 : 0;
    const app = listener === 1 ? 'game' : '';
    const rig = new Rig();
    await rig.serve([{ id: 'a', app }]);
    t.equal(rig.got(1, ME, { listener }), 'a picked');
    rig.connected(1);
    await rig.serve(rows);
    t.equal(rig.got(2, ME, { listener }), 'b rebound');
    t.equal(rig.boundTo(ME, app), 'b');
    t.equal(rig.got(3, ME, { listener }), 'b bound');
    t.equal(rig.ledger.connectionsOf('a'), 1, 'its old connection is still counted where it is');
    rig.closed(1);
    t.equal(rig.ledger.connectionsOf('a'), 0);
    t.equal(rig.openConnections(ME, app), 2);
  });
}

t.test('a draining backend keeps the clients that it has and gets no new ones', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  rig.got(1, ME);
  await rig.serve([
    { id: 'a', weight: 0 },
    { id: 'b', region: 'ap' },
  ]);
  t.equal(rig.got(2, ME), 'a bound');
  t.equal(rig.got(3, NEIGHBOUR), 'b picked');
});

t.test('a client whose backend is full is served elsewhere, and keeps its binding', async (t) => {
  const rig = new Rig();
  await rig.serve([
    { id: 'a', hardLimit: 1, weight: 1000 },
    { id: 'b', region: 'us' },
  ]);
  t.equal(rig.got(1, ME), 'a picked');
  rig.connected(1);
  t.equal(rig.got(2, ME), 'b overflow');
  rig.connected(2);
  t.equal(rig.boundTo(ME), 'a');
  rig.closed(1);
  t.equal(rig.got(3, ME), 'a bound', 'back as soon as there is room');
  t.equal(rig.openConnections(ME), 2, 'the connection elsewhere keeps the binding alive as well');
  rig.closed(3);
  await rig.serve([{ id: 'a', hardLimit: 1, weight: 1000 }]);
  rig.got(4, NEIGHBOUR);
  t.equal(rig.got(5, ME), 'all_full');
  t.equal(rig.boundTo(ME), 'a', 'a refusal changes nothing');
});

t.test('a client whose backend refuses connections moves, but only once another one accepted', async (t) => {
  const rig = new Rig();
  await rig.serve(A_THEN_B);
  rig.got(1, ME);
  rig.connected(1);
  rig.closed(1);

  t.equal(rig.got(2, ME), 'a bound');
  rig.failed(2);
  t.equal(rig.got(3, ME, { tried: ['a'] }), 'b retried');
  t.equal(rig.boundTo(ME), 'a', 'not yet');
  rig.connected(3);
  t.equal(rig.boundTo(ME), 'b');
});

t.test('a client whose every backend fails keeps the binding that it had', async (t) => {
  const rig = new Rig();
  await rig.serve(A_THEN_B);
  rig.got(1, ME);
  rig.connected(1);
  rig.closed(1);

  rig.got(2, ME);
  rig.failed(2);
  rig.got(3, ME, { tried: ['a'] });
  rig.failed(3);
  t.equal(rig.got(4, ME, { tried: ['a', 'b'] }), 'connect_failed');
  t.equal(rig.boundTo(ME), 'a');
  t.equal(rig.ledger.total, 0);
  t.equal(rig.openConnections(ME), 0);
});

t.test('two connections of one client whose backend fails go to the same new one', async (t) => {
  const rig = new Rig();
  // b is the first choice of whoever may not have a, until it has a connection: then c would be.
  await rig.serve([
    { id: 'a', weight: 1000 },
    { id: 'b', region: 'us', softLimit: 1, weight: 2 },
    { id: 'c', region: 'us', softLimit: 1 },
  ]);
  rig.got(1, ME);
  rig.connected(1);
  t.equal(rig.got(2, ME), 'a bound');
  t.equal(rig.got(3, ME), 'a bound');
  rig.failed(2);
  rig.failed(3);
  const moved = rig.got(4, ME, { tried: ['a'] });
  t.equal(rig.got(5, ME, { tried: ['a'] }), moved);
  rig.connected(4);
  t.equal(`${rig.boundTo(ME)} retried`, moved);
  t.equal(rig.got(6, ME, { tried: ['a'] }), moved, 'one that failed after the binding had moved');
});

t.test('a binding that moved once moves again, although the connection that moved it lives on', async (t) => {
  const rig = new Rig();
  await rig.serve(A_B_C);
  rig.got(1, ME);
  rig.connected(1);
  rig.closed(1);
  rig.got(2, ME);
  rig.failed(2);
  t.equal(rig.got(3, ME, { tried: ['a'] }), 'b retried');
  rig.connected(3);
  t.equal(rig.boundTo(ME), 'b');

  await rig.serve(A_B_C.slice(1));
  t.equal(rig.got(4, ME), 'b bound');
  rig.failed(4);
  t.equal(rig.got(5, ME, { tried: ['b'] }), 'c retried');
  rig.connected(5);
  t.equal(rig.boundTo(ME), 'c');
  rig.closed(3);
  rig.closed(5);
  t.equal(rig.openConnections(ME), 0);
});

t.test('a move that has arrived, or that nobody carries any more, sends nobody to its target', async (t) => {
  const better = (id: string) =>
    A_B_C.map((row) => (row.id === id ? { ...row, region: 'eu' as const, weight: 100 } : row));
  const rig = new Rig();
  await rig.serve(A_B_C);
  rig.got(1, ME);
  rig.connected(1);
  rig.closed(1);
  t.equal(rig.got(2, ME, { tried: ['a'] }), 'b retried');
  rig.failed(2);
  await rig.serve(better('c'));
  t.equal(rig.got(3, ME, { tried: ['a'] }), 'c retried', 'not b, which failed');
  rig.connected(3);
  await rig.serve(A_THEN_B);
  t.equal(rig.got(4, ME), 'a rebound', 'c is gone for a while');
  rig.connected(4);
  await rig.serve(better('b'));
  t.equal(rig.got(5, ME, { tried: ['a'] }), 'b retried', 'not c, where it once moved from a');
});

t.test('a move whose target fails one connection goes on with the next target', async (t) => {
  const rig = new Rig();
  await rig.serve(A_B_C);
  rig.got(1, ME);
  rig.connected(1);
  t.equal(rig.got(2, ME), 'a bound');
  t.equal(rig.got(3, ME), 'a bound');
  rig.failed(2);
  rig.failed(3);
  t.equal(rig.got(4, ME, { tried: ['a'] }), 'b retried');
  t.equal(rig.got(5, ME, { tried: ['a'] }), 'b retried');
  rig.failed(4);
  t.equal(rig.got(6, ME, { tried: ['a', 'b'] }), 'c retried');
  rig.failed(5);
  t.equal(rig.got(7, ME, { tried: ['a', 'b'] }), 'c retried');
  rig.connected(6);
  t.equal(rig.boundTo(ME), 'c');
});

t.test('a move whose target is full or gone does not hold up the others', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }, { id: 'b', region: 'us', hardLimit: 1 }, { id: 'c', region: 'ap' }]);
  rig.got(1, ME);
  rig.connected(1);
  t.equal(rig.got(2, ME, { tried: ['a'] }), 'b retried');
  t.equal(rig.got(3, ME, { tried: ['a'] }), 'c retried', 'b is full with the connection on its way');
  rig.connected(3);
  t.equal(rig.boundTo(ME), 'a', 'the binding waits for b');
  await rig.serve([{ id: 'a' }, { id: 'b', region: 'us', healthy: false }, { id: 'c', region: 'ap' }]);
  t.equal(rig.got(4, ME, { tried: ['a'] }), 'c retried');
  rig.connected(4);
  t.equal(rig.boundTo(ME), 'c', 'b cannot take it any more');
  rig.connected(2);
  t.equal(rig.boundTo(ME), 'c', 'nor takes it back');
});

t.test('a connection that was retried for another reason than its binding leaves it alone', async (t) => {
  const rig = new Rig();
  await rig.serve([
    { id: 'a', hardLimit: 1, weight: 1000 },
    { id: 'b', region: 'us' },
    { id: 'c', region: 'ap' },
  ]);
  rig.got(1, ME);
  rig.connected(1);
  t.equal(rig.got(2, ME), 'b overflow');
  rig.failed(2);
  rig.got(3, ME, { tried: ['b'] });
  rig.connected(3);
  t.equal(rig.ledger.connectionsOf('c'), 1);
  t.equal(rig.boundTo(ME), 'a');
});

t.test('a fresh binding whose backend never accepted is forgotten', async (t) => {
  const rig = new Rig();
  await rig.serve(A_THEN_B);
  t.equal(rig.got(1, ME), 'a picked');
  t.equal(rig.boundTo(ME), 'a');
  rig.failed(1);
  t.equal(rig.boundTo(ME), null);
  t.equal(rig.got(2, ME, { tried: ['a'] }), 'b retried');
  t.equal(rig.boundTo(ME), 'b');
  rig.connected(2);
  rig.closed(2);
  t.equal(rig.boundTo(ME), 'b', 'this one accepted');
  t.equal(rig.bindings.size, 1);
});

t.test('a fresh binding is not proved by a connection that went elsewhere', async (t) => {
  const rig = new Rig();
  await rig.serve([
    { id: 'a', hardLimit: 1, weight: 1000 },
    { id: 'b', region: 'us' },
  ]);
  t.equal(rig.got(1, ME), 'a picked');
  t.equal(rig.got(2, ME), 'b overflow');
  rig.connected(2);
  rig.failed(1);
  t.equal(rig.boundTo(ME), 'a', 'while a connection of the client holds it');
  rig.closed(2);
  t.equal(rig.boundTo(ME), null);
});

for (const [how, end] of [
  ['abandoned', (rig: Rig) => rig.service.abandoned(1, 1, rig.now)],
  ['closed before it connected', (rig: Rig) => rig.closed(1)],
  ["cut by its worker's death", (rig: Rig) => rig.service.workerLeft(1)],
] as const) {
  t.test(`a fresh binding is forgotten when its only connection is ${how}`, async (t) => {
    const rig = new Rig();
    await rig.serve([{ id: 'a' }]);
    rig.got(1, ME);
    end(rig);
    t.equal(rig.bindings.size, 0);
    t.equal(rig.ledger.total, 0);
  });
}

t.test('a full binding table serves without affinity', async (t) => {
  const rig = new Rig({ maxBindings: 1 });
  await rig.serve([{ id: 'a' }]);
  t.equal(rig.got(1, ME), 'a picked');
  t.equal(rig.got(2, NEIGHBOUR), 'a picked');
  t.equal(rig.boundTo(NEIGHBOUR), null, 'every binding has an open connection');
  t.equal(rig.got(3, NEIGHBOUR, { tried: ['b'] }), 'a retried');
  for (const seq of [2, 3]) t.ok(rig.connected(seq) && rig.closed(seq));
  t.equal(rig.boundTo(ME), 'a');
});

t.test('a move outlives other connections of its client, and ends with those that carry it', async (t) => {
  const rig = new Rig();
  const rows = [
    { id: 'a', weight: 1000 },
    { id: 'b', region: 'us' as const },
    { id: 'c', region: 'us' as const },
  ];
  await rig.serve(rows.slice(0, 1));
  t.equal(rig.got(1, ME), 'a picked');
  rig.connected(1);
  await rig.serve(rows);
  rig.got(2, ME);
  rig.failed(2);
  const to = rig.got(3, ME, { tried: ['a'] }).split(' ')[0]!;
  // Not of the move, though of its binding.
  rig.closed(1);
  rig.got(4, ME);
  rig.failed(4);
  t.equal(rig.got(5, ME, { tried: ['a'] }), `${to} retried`, 'and not the one that is less loaded');
  // Neither of the two that carried it arrives, and its goal takes no new clients any more.
  rig.got(6, ME);
  for (const seq of [3, 5]) rig.service.abandoned(1, seq, rig.now);
  await rig.serve(rows.map((row) => (row.id === to ? { ...row, weight: 0 } : row)));
  rig.failed(6);
  t.equal(rig.got(7, ME, { tried: ['a'] }), `${to === 'b' ? 'c' : 'b'} retried`);
});

t.test('a connection that gets the lease of one that carried a move carries none', async (t) => {
  const rig = new Rig();
  await rig.serve(A_THEN_B);
  rig.got(1, ME);
  rig.connected(1);
  t.equal(rig.got(2, ME, { tried: ['a'] }), 'b retried');
  const lease = rig.ledger.find(1, 2);
  rig.service.abandoned(1, 2, rig.now);
  t.equal(rig.got(3, ME), 'a bound');
  t.equal(rig.ledger.find(1, 3), lease);
  rig.connected(3);
  t.equal(rig.boundTo(ME), 'a');
});

/** The table at the top of affinity.ts, entry by entry: what the binding is before, what happens, what it is after. */
t.test('the state table', async (t) => {
  const key = clientKey('', clientAddress(1));
  const decide = (binding: number, why: string, client = key) =>
    Object.assign(new Decision(), { client: { ...client, hash: 0, geo: null }, binding, why: why as PickReason });
  const failed = (id: string) => [{ backend: id, code: 'ECONNREFUSED', ms: 1, ours: false }];

  /** A binding of `a`: `unproven`, or `proven` with the lease that proved it still there. */
  const made = (state: string, maxBindings = 10) => {
    const bindings = new MemoryBindings({ ttlMs: TTL_MS, maxBindings });
    const affinity = new Affinity(bindings, () => true);
    let leases = 0;
    const take = (id: string, why: string, tried: ReturnType<typeof failed> = [], client = key) => {
      const lease = ++leases;
      const binding = affinity.take(lease, decide(bindings.find(client, 0), why, client), id, tried, 0);
      return {
        binding,
        proved: (id: string) => affinity.proved(lease, binding, id, 0),
        giveBack: () => affinity.giveBack(lease, binding, 0),
      };
    };
    const first = take('a', 'picked');
    if (state === 'proven') first.proved('a');
    /** Proven is what outlives its leases. */
    const now = () => {
      const ref = bindings.find(key, 0);
      if (ref === 0) return 'none';
      const moving = affinity.movingTo(ref);
      return `on ${bindings.backendOf(ref)}${moving === '' ? '' : `, moving to ${moving}`}`;
    };
    return { bindings, take, first, now };
  };
  /** `unproven on a`: what is left when every lease is given back tells proven from unproven. */
  const after = (how: ReturnType<typeof made>, leases: readonly ReturnType<typeof how.take>[]) => {
    const state = how.now();
    for (const lease of leases) lease.giveBack();
    return `${how.now() === 'none' ? 'unproven' : 'proven'} ${state}`;
  };

  for (const state of ['unproven', 'proven'] as const) {
    for (const why of ['bound', 'overflow'] as const) {
      const how = made(state);
      const second = how.take(why === 'bound' ? 'a' : 'b', why);
      t.equal(after(how, [how.first, second]), `${state} on a`, `${state}, ${why}`);
    }
    const rebound = made(state);
    t.equal(after(rebound, [rebound.first, rebound.take('b', 'rebound')]), `${state} on b`, `${state}, rebound`);

    const moving = made(state);
    const mover = moving.take('b', 'retried', failed('a'));
    t.equal(moving.now(), 'on a, moving to b');
    const full = moving.take('c', 'retried', failed('a'));
    t.equal(moving.now(), 'on a, moving to b', 'b is merely full');
    full.proved('c');
    t.equal(moving.now(), 'on a, moving to b', 'and this one is no part of the move');
    const other = moving.take('c', 'retried', [...failed('a'), ...failed('b')]);
    t.equal(moving.now(), 'on a, moving to c', 'b failed as well');
    mover.proved('b');
    t.equal(moving.now(), 'on b', 'the first to arrive wins');
    other.proved('c');
    t.equal(after(moving, [moving.first, mover, full, other]), 'proven on b', `${state}, moved`);

    const vain = made(state);
    vain.take('b', 'retried', failed('a')).giveBack();
    t.equal(after(vain, [vain.first]), `${state} on a`, `${state}, a move that came to nothing`);

    const own = made(state);
    const retried = own.take('a', 'retried', failed('x'));
    t.equal(own.now(), 'on a', 'a did not fail it');
    retried.proved('a');
    t.equal(after(own, [own.first, retried]), 'proven on a', `${state}, proved on a`);
  }
  const gone = made('proven');
  gone.first.giveBack();
  t.equal(gone.bindings.find(key, TTL_MS), 0, 'the TTL is over');
  const full = made('unproven', 1);
  t.equal(full.take('b', 'picked', [], clientKey('', clientAddress(2))).binding, 0, 'full of held bindings');
});
