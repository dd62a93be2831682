import t from 'tap';
import { address, CLOSED, LISTENERS, Rig, refusedBy, TTL_MS } from './rig.ts';

const ME = '10.0.0.1';

t.test('an answer names the backend, where it is and why', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a', host: '10.9.0.1', port: 7000 }]);
  const endpoint = { host: '10.9.0.1', port: 7000 };
  t.same(rig.pick(1, ME), { kind: 'assigned', backendId: 'a', endpoint, why: 'picked', contended: false });
});

t.test("the nearest backend is picked by the client's country", async (t) => {
  const rig = new Rig({
    countries: { '10.1.0.0/16': 'DE', '10.2.0.0/16': 'KE', '10.3.0.0/16': 'QQ' },
    popRegion: 'sa',
  });
  await rig.serve([
    { id: 'german', country: 'DE', region: 'eu' },
    { id: 'european', country: 'FR', region: 'eu', weight: 1000 },
    { id: 'here', region: 'sa' },
  ]);
  t.equal(rig.got(1, '10.1.0.1'), 'german picked');
  t.match(rig.got(2, '10.2.0.1'), /^(?:european|german) picked$/, 'Africa has no backend and falls to Europe');
  t.equal(rig.got(3, '10.9.0.1'), 'here picked', 'of no known country');
  t.equal(rig.got(4, '10.3.0.1'), 'here picked', 'of a country without a region');
  rig.connected(1);
  rig.closed(1);
  t.equal(rig.records[0]?.country, 'DE');
  rig.got(5, '10.1.0.1');
  rig.closed(5);
  t.equal(rig.records[1]?.country, 'DE', 'of a bound client as well');
});

t.test('a bound client is not looked up, and keeps its country until its binding is over', async (t) => {
  const rig = new Rig();
  await rig.serve([
    { id: 'german', country: 'DE' },
    { id: 'french', country: 'FR', weight: 1000 },
  ]);
  let looked = 0;
  rig.geo.country = () => (++looked === 1 ? 'DE' : 'FR');
  t.equal(rig.got(1, ME), 'german picked');
  rig.connected(1);
  rig.got(2, ME);
  rig.got(3, ME);
  t.equal(looked, 1);
  await rig.serve([
    { id: 'other', country: 'DE' },
    { id: 'french', country: 'FR', weight: 1000 },
  ]);
  t.equal(rig.got(4, ME), 'other rebound', 'as a client of the country that it came from');
  t.equal(looked, 1);
  for (const seq of [1, 2, 3, 4]) rig.closed(seq);
  t.same(
    rig.records.map(({ country }) => country),
    ['DE', 'DE', 'DE', 'DE'],
  );
  rig.now += TTL_MS;
  t.equal(rig.got(5, ME), 'french picked', 'a new client');
  t.equal(looked, 2);
});

t.test('refusals say why', async (t) => {
  const rig = new Rig();
  t.equal(rig.got(1, ME), 'no_backend', 'before the first table');
  await rig.serve([
    { id: 'a', app: 'web', hardLimit: 1 },
    { id: 'b', healthy: false },
  ]);
  t.equal(rig.got(2, ME, { listener: 1 }), 'no_backend', "none of the listener's app");
  t.equal(rig.got(3, ME), 'a picked');
  t.equal(rig.got(4, '10.0.0.2'), 'all_full');
  rig.failed(3);
  t.equal(rig.got(5, ME, { tried: ['a'] }), 'connect_failed');
  t.equal(rig.ledger.total, 0, 'a refusal holds no slot');
});

t.test('bound clients do not pass the hard limit either', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a', hardLimit: 2 }]);
  const answers = [1, 2, 3, 4].map((seq) => rig.got(seq, ME));
  t.same(answers, ['a picked', 'a bound', 'all_full', 'all_full']);
  t.equal(rig.ledger.connectionsOf('a'), 2);
});

t.test('a limit that was lowered holds for whoever comes next, and cuts nobody', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a', hardLimit: 0 }]);
  for (let seq = 1; seq <= 5; seq++) rig.got(seq, ME);
  await rig.serve([{ id: 'a', hardLimit: 3 }]);
  t.equal(rig.got(6, ME), 'all_full');
  t.equal(rig.ledger.connectionsOf('a'), 5);
  for (const seq of [1, 2, 3]) rig.closed(seq);
  t.equal(rig.got(7, ME), 'a bound');
  t.equal(rig.got(8, ME), 'all_full');
});

t.test('what does not fit changes nothing', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  rig.got(1, ME);
  const before = JSON.stringify([rig.metrics.counts, [...rig.ledger.counts()], rig.records, rig.openConnections(ME)]);
  t.equal(rig.pick(1, '10.0.0.9'), null, 'a sequence number that is held');
  t.equal(rig.pick(2, ME, { worker: 7 }), null, 'a worker that has not joined');
  t.equal(rig.pick(2, ME, { listener: LISTENERS.length }), null, 'a listener that is not there');
  t.notOk(rig.connected(9) || rig.failed(9) || rig.closed(9), 'an unknown lease');
  rig.service.abandoned(1, 9, rig.now);
  t.notOk(rig.connected(1, 2) || rig.closed(1, 2), "another worker's lease");
  t.notOk(rig.unserved({ listener: 5 }));
  t.equal(rig.service.workerLeft(7), 0);
  const after = JSON.stringify([rig.metrics.counts, [...rig.ledger.counts()], rig.records, rig.openConnections(ME)]);
  t.equal(after, before);
});

t.test('a report that comes twice, or after its worker was written off, changes nothing', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  rig.got(1, ME);
  t.ok(rig.connected(1));
  t.notOk(rig.connected(1));
  t.ok(rig.closed(1));
  t.notOk(rig.closed(1) || rig.failed(1) || rig.connected(1));
  rig.service.abandoned(1, 1, rig.now);
  rig.got(2, ME);
  t.equal(rig.service.workerLeft(1), 1);
  t.notOk(rig.closed(2));
  t.equal(rig.pick(3, ME), null, 'it reserves nothing any more');
  t.equal(rig.service.workerLeft(1), 0);
  t.same(rig.metrics.counts, {
    accepted: 2,
    'picked picked': 1,
    'picked bound': 1,
    'connected a': 1,
    'closed finished': 1,
    'closed worker_died': 1,
  });
});

t.test('the death of a worker gives back its own connections only, each with a record', async (t) => {
  const rig = new Rig();
  rig.service.workerJoined(2);
  await rig.serve([{ id: 'a' }]);
  rig.now = 200;
  rig.got(1, ME);
  rig.got(2, '10.0.0.2', { tried: ['b'] });
  rig.got(1, '10.0.0.3', { worker: 2 });
  rig.now = 500;
  t.equal(rig.service.workerLeft(1), 2);
  t.equal(rig.ledger.connectionsOf('a'), 1);
  const unknown = { bytesToBackend: 0, bytesToClient: 0, pickMs: 0, connectMs: 0 };
  const records = rig.records.toSorted((a, b) => a.client.localeCompare(b.client));
  t.match(records, [
    { client: ME, backend: 'a', close: 'worker_died', ...unknown, attempts: 1, totalMs: 300 },
    { client: '10.0.0.2', backend: 'a', close: 'worker_died', ...unknown, attempts: 2, tried: [{ backend: 'b' }] },
  ]);
  t.ok(rig.closed(1, 2), "the other worker's connection is not concerned");
});

t.test('a death of thousands frees all slots at once, and closes them a bounded number a turn', async (t) => {
  const rig = new Rig();
  const works: Generator<void, void>[] = [];
  rig.later = (work) => void works.push(work);
  await rig.serve([{ id: 'a', hardLimit: 1000 }]);
  for (let seq = 1; seq <= 1000; seq++) rig.got(seq, `10.0.${seq >> 8}.${seq & 255}`);
  for (let seq = 1001; seq <= 1300; seq++) t.equal(rig.got(seq, '10.9.0.1'), 'all_full');
  t.equal(rig.service.workerLeft(1), 1000);
  t.equal(rig.ledger.connectionsOf('a'), 0);
  rig.service.workerJoined(2);
  t.equal(rig.got(1, '10.0.0.1', { worker: 2 }), 'a bound', 'whoever comes back before finds room, and its binding');
  t.equal(rig.records.length, 0);
  const shares: number[] = [];
  const share = () => shares.push(rig.records.length - shares.reduce((sum, share) => sum + share, 0));
  for (const _ of works[0]!) share();
  share();
  t.ok(shares.length <= 8 && Math.max(...shares) <= 256, `${shares} in a turn`);
  t.equal(rig.records.length, 1300, 'the refused clients, too');
  const clients = rig.records.filter(({ backend }) => backend === 'a').map(({ client }) => client);
  t.equal(new Set(clients).size, 1000, 'each of its own client, whoever came meanwhile');
  t.equal(rig.ledger.leases.size, 1, 'nothing is kept of them any more');
  t.equal(rig.openConnections('10.0.0.1'), 1, 'its new one');
  t.equal(rig.openConnections('10.0.0.2'), 0);
});

t.test('a client that is back before its dead connection is closed keeps its binding as long as any', async (t) => {
  const rig = new Rig();
  const left: Generator<void, void>[] = [];
  rig.later = (work) => {
    if (work.next().done !== true) left.push(work);
  };
  await rig.serve([{ id: 'a' }]);
  const clients = Array.from({ length: 300 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  for (const [i, client] of clients.entries()) {
    rig.got(i + 1, client);
    rig.connected(i + 1);
  }
  rig.service.workerLeft(1);
  const late = clients.find((client) => rig.openConnections(client) === 1)!;
  rig.now = TTL_MS - 100;
  rig.service.workerJoined(2);
  t.equal(rig.got(1, late, { worker: 2 }), 'a bound');
  rig.closed(1, 2);
  for (const _ of left[0]!);
  t.equal(rig.records.at(-1)?.totalMs, 0, 'it was open until the death');
  rig.now += 200;
  t.equal(rig.boundTo(late), 'a', 'it was seen last 200 ms ago, and not when the worker died');
});

t.test('each connection has one access record', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  rig.got(1, ME);
  rig.connected(1);
  await rig.serve([{ id: 'b' }]);
  rig.closed(1);
  rig.unserved({ listener: 1, reason: 'no_backend', totalMs: 4 });
  const { reason, connected: _, ...terms } = CLOSED;
  t.same(rig.records, [
    {
      client: ME,
      country: null,
      listener: '127.0.0.1:8080',
      backend: 'a',
      why: 'picked',
      close: reason,
      ...terms,
      routingVersion: 1,
    },
    {
      client: ME,
      country: null,
      listener: '127.0.0.1:8081',
      backend: null,
      why: 'no_backend',
      close: 'refused',
      attempts: 0,
      pickMs: 0,
      connectMs: 0,
      totalMs: 4,
      bytesToBackend: 0,
      bytesToClient: 0,
      routingVersion: 2,
    },
  ]);
});

t.test('a client is counted once as accepted, however it ends', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }, { id: 'b' }]);
  const unserved = (reason: 'no_backend' | 'pick_timeout' | 'too_many_picks' | 'descriptor_limit', dials: number) =>
    rig.unserved({ reason, tried: ['a', 'b'].slice(0, dials).map(refusedBy) });
  const accepted = () => rig.metrics.counts.accepted;

  rig.got(1, ME);
  rig.failed(1);
  rig.got(2, ME, { tried: ['a'] });
  t.equal(accepted(), 1, 'a retry is no new client');
  rig.failed(2);
  unserved('too_many_picks', 2);
  t.equal(accepted(), 1, 'nor is a client whose second retry was not asked for any more');
  unserved('descriptor_limit', 0);
  t.equal(accepted(), 2, 'the primary hears of this one for the first time');
  unserved('too_many_picks', 0);
  t.equal(accepted(), 3);
  rig.got(3, ME);
  unserved('pick_timeout', 0);
  t.equal(accepted(), 4, 'its pick was told');
  rig.got(4, '10.0.0.4');
  rig.unserved({ seq: 4, reason: 'client_left' });
  t.equal(accepted(), 5, 'so was this one');
});

t.test('metrics hear of dials in seconds, and of bytes by their direction', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  rig.got(1, ME);
  rig.service.connected(1, 1, 250, rig.now);
  rig.closed(1);
  t.same(rig.metrics.seconds, [0.25]);
  t.same(rig.metrics.bytes, [[CLOSED.bytesToBackend, CLOSED.bytesToClient]]);
});

t.test('a dial that comes through ends what is said of those that failed', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  for (const seq of [1, 2, 3]) {
    rig.got(seq, ME);
    rig.failed(seq);
  }
  t.equal(rig.outcomes.failing(0).length, 1);
  rig.got(4, ME);
  rig.connected(4);
  t.same(rig.outcomes.failing(0), []);
});

t.test('refusals that nobody tells the end of are kept to a bound', async (t) => {
  const rig = new Rig();
  for (let seq = 1; seq <= 8200; seq++) rig.got(seq, ME);
  rig.service.workerLeft(1);
  t.equal(rig.records.length, 8192);
});

t.test('a record names the dials that failed, and only then', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }, { id: 'b' }]);
  rig.got(1, ME);
  rig.failed(1);
  rig.got(2, ME, { tried: [{ backend: 'a', code: 'ETIMEDOUT', ms: 5000, ours: false }] });
  rig.connected(2);
  rig.closed(2);
  rig.got(3, ME);
  rig.closed(3);
  rig.unserved({ seq: 9, reason: 'connect_failed', tried: [refusedBy('b')] });
  t.match(rig.records, [
    { tried: [{ backend: 'a', code: 'ETIMEDOUT', ms: 5000 }] },
    {},
    { why: 'connect_failed', attempts: 1, tried: [{ backend: 'b', code: 'ECONNREFUSED' }] },
  ]);
  t.equal(rig.records[1]!.tried, undefined);
  t.notOk('ours' in rig.records[0]!.tried![0]!);
});

t.test('a connection that its worker took with it has as many attempts as it was dialled', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }, { id: 'b' }]);
  rig.got(1, ME, { tried: ['a'] });
  rig.got(2, ME);
  rig.service.workerLeft(1);
  const told = rig.records.map(({ close, attempts, tried = [] }) => `${close} ${attempts} ${tried.length}`);
  t.same(told.sort(), ['worker_died 1 0', 'worker_died 2 1']);
});

t.test('clients that were refused are counted once, also when their worker dies first', async (t) => {
  const rig = new Rig();
  rig.service.workerJoined(2);
  rig.now = 5;
  t.equal(rig.got(1, ME), 'no_backend');
  t.equal(rig.got(2, '10.0.0.2', { tried: ['a'] }), 'connect_failed');
  t.equal(rig.got(3, '10.0.0.3'), 'no_backend');
  t.equal(rig.got(1, '10.0.0.4', { worker: 2 }), 'no_backend');
  t.equal(rig.metrics.counts['refused no_backend'], undefined, 'not before somebody says how it ended');
  rig.unserved({ seq: 1, reason: 'no_backend', totalMs: 7 });
  // The worker gave it up before the answer came.
  rig.unserved({ seq: 3, reason: 'pick_timeout', address: address('10.0.0.3') });
  rig.now = 20;
  t.equal(rig.service.workerLeft(1), 0, 'no connection was cut');
  t.same(
    rig.records.map(({ client, why, totalMs, attempts }) => [client, why, totalMs, attempts]),
    [
      [ME, 'no_backend', 7, 0],
      ['10.0.0.3', 'pick_timeout', 1, 0],
      ['10.0.0.2', 'connect_failed', 15, 1],
    ],
  );
  t.match(rig.metrics.counts, { 'refused no_backend': 1, 'refused pick_timeout': 1, 'refused connect_failed': 1 });
  rig.service.workerLeft(1);
  rig.service.workerLeft(2);
  t.equal(rig.metrics.counts['refused no_backend'], 2);
  t.equal(rig.records.length, 4);
});
