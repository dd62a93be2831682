import t from 'tap';
import { connectionLine, humanMessage } from '../../../../src/adapters/outbound/log/human-line.ts';
import { ClientAddress } from '../../../../src/domain/client-address.ts';

const record = {
  client: new ClientAddress(4, 0x7f000001),
  country: null,
  listener: '127.0.0.1:8080',
  backend: 'b2',
  why: 'rebound',
  close: 'finished',
  attempts: 1,
  pickMs: 0.2,
  connectMs: 1.5,
  totalMs: 5.4,
  bytesToBackend: 78,
  bytesToClient: 199,
  routingVersion: 2,
} as Parameters<typeof connectionLine>[0];
const time = new Date(2026, 0, 2, 1, 50, 1);

t.test('a connection is one line', async (t) => {
  t.equal(connectionLine(record, time), '01:50:01 127.0.0.1 -> b2 rebound finished 5 ms 78/199 B\n');
  const refused = { ...record, backend: null, why: 'no_backend', close: 'refused' } as const;
  t.equal(connectionLine(refused, time), '01:50:01 127.0.0.1 -> (nobody) no_backend refused 5 ms 78/199 B\n');
  const tried = [{ backend: 'b1', code: 'ECONNREFUSED', ms: 0.4 }];
  t.match(connectionLine({ ...record, tried }, time), /78\/199 B; b1 ECONNREFUSED\n$/);
  t.notMatch(connectionLine({ ...record, backend: 'b\x1b[2J\u202e' }, time).trimEnd(), /[\p{Cc}\p{Cf}]/u);
});

t.test('what else is said is one line too, and says its fields', async (t) => {
  const base = { level: 'info', time: 1, pid: 2 };
  t.equal(humanMessage({ ...base, msg: 'stopped' }), 'stopped');
  t.equal(
    humanMessage({ ...base, msg: 'worker died', worker: 7, signal: null, reason: 'x\ny' }),
    'worker died: worker 7, reason x\\u{a}y',
  );
  t.equal(
    humanMessage({ ...base, msg: 'stopping: draining connections', signal: 'SIGINT', connections: 3, drainSecs: 30 }),
    'stopping (SIGINT), draining: up to 30 s, a second signal ends it now; connections 3',
  );
  const loaded = { ...base, msg: 'routing table loaded', version: 3, backends: 9, skipped: 0, removed: 1 };
  t.equal(
    humanMessage({ ...loaded, added: 4, changed: 1, ids: ['+a', '+b', '+c', '-d', '~e'] }),
    'routing table 3 loaded: 9 backends, +4 -1 ~1 (+a +b +c -d ~e and 1 more)',
  );
  t.match(humanMessage({ ...loaded, backends: 1, skipped: 1, ids: [] }), / 3 loaded: 1 backend, 1 row skipped, /);
});

t.test('nothing is said in JSON', async (t) => {
  const base = { level: 'warn', time: 1, pid: 2 };
  const rows = [
    { id: 'b1', column: 'region', value: 'zz', expected: 'one of sa, us' },
    { id: 'b2', column: 'port', value: 'x', expected: 'a port' },
  ];
  t.equal(
    humanMessage({ ...base, msg: 'routing rows skipped; the good ones serve', skipped: 3, rows }),
    '3 routing rows skipped, the good ones serve: b1: region is zz: expected one of sa, us; b2: port is x: expected a port; and 1 more',
  );
  t.equal(
    humanMessage({ ...base, msg: 'not loaded', serving: { version: 5, backends: 1 }, rows: [{ a: 1 }, { a: true }] }),
    'not loaded: serving version 5 backends 1, rows a 1; a true',
  );
  t.equal(
    humanMessage({ ...base, msg: 'add one:', database: 'routing.db' }),
    'add one:',
    'what comes next is what to add',
  );
});
