import { mock } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { InternalErrors } from '../../src/application/internal-errors.ts';
import type { RoutingLook } from '../../src/application/ports/backend-repository.ts';
import { ReloadRouting } from '../../src/application/reload-routing.ts';
import type { Backend } from '../../src/domain/entities.ts';
import { MemoryBackendRepository } from '../fixtures/memory-backend-repository.ts';
import { backend } from '../fixtures/routing-db.ts';
import { keepingLog } from '../fixtures/silent-log.ts';
import { until } from '../fixtures/until.ts';
import { Rig } from './rig.ts';

function setUp(rows: readonly Partial<Backend>[] = []) {
  const rig = new Rig();
  const repository = new MemoryBackendRepository(rows.map(backend));
  const log = keepingLog();
  const reload = new ReloadRouting({
    repository,
    routing: rig.routing,
    log,
    clock: rig.clock,
    boundary: new InternalErrors(log, rig.clock),
  });
  const said = () => log.said.splice(0).map(({ level, message }) => `${level}: ${message}`);
  return { rig, repository, reload, log, said };
}

t.test('a changed table is loaded, an unchanged one is not', async (t) => {
  const { rig, repository, reload, said } = setUp([{ id: 'a' }]);
  await reload.look();
  t.match(reload.health(), { version: 1, backends: 1, badRows: 0, error: '', loads: 1, failures: 0 });
  t.same(said(), ['info: routing table loaded']);
  await reload.look();
  t.match(reload.health(), { version: 1, loads: 1 });
  repository.set([backend({ id: 'a' })]);
  await reload.look();
  t.match(reload.health(), { version: 1, loads: 2 }, 'loaded, and found to be the same');
  t.same(said(), []);
  repository.set([backend({ id: 'b' })]);
  await reload.look();
  t.ok(rig.routing.table.find('b'));
  t.notOk(rig.routing.table.find('a'), 'the whole table is swapped');
});

t.test('whatever is wrong, the last good table serves, and it is said once', async (t) => {
  const { rig, repository, reload, said } = setUp([{ id: 'a' }]);
  await reload.look();
  said();
  repository.fail('EDGE_ERR_DB_MISSING', 'routing.db is not there');
  for (let i = 0; i < 3; i++) await reload.look();
  t.same(said(), ['error: routing database not loaded; the last good table serves on']);
  t.match(reload.health(), { version: 1, error: 'routing.db is not there', failures: 3 });
  t.equal(rig.got(1, '10.0.0.1'), 'a picked');
  repository.fail('EDGE_ERR_DB_LOCKED', 'routing.db is locked');
  await reload.look();
  t.equal(said().length, 1, 'another failure is news');
  repository.mend();
  await reload.look();
  t.same(said(), ['info: routing database is readable again']);
  t.equal(reload.health().error, '');
});

t.test('a start without a table says that clients are refused, and not that one serves', async (t) => {
  const { repository, reload, said } = setUp();
  repository.fail('EDGE_ERR_DB_UNREADABLE', 'a program died in its commit');
  await reload.look();
  t.same(said(), ['error: routing database not loaded; clients are refused until it is']);
});

t.test('bad rows are named in one record and counted; the good ones serve', async (t) => {
  const { repository, reload, log } = setUp();
  const problem = { id: 'x', column: 'port', value: 'abc', expected: '1 to 65535' };
  repository.set([backend({ id: 'a' })], [problem]);
  await reload.look();
  t.match(reload.health(), { backends: 1, badRows: 1 });
  t.match(log.said[0], { level: 'warn', fields: { skipped: 1, rows: [problem] } });
  repository.set([backend({ id: 'a' })]);
  await reload.look();
  t.equal(reload.health().badRows, 0, 'mended');
});

t.test(
  'a table that cannot be taken over is told once, counted, and loaded again at each look until it can be',
  async (t) => {
    const { rig, repository, reload, said } = setUp([{ id: 'a' }]);
    await reload.look();
    said();
    repository.set([backend({ id: 'b' })]);
    const install = rig.routing.install.bind(rig.routing);
    rig.routing.install = () => Promise.reject(new Error('slots is undefined'));
    for (let i = 0; i < 3; i++) await reload.look();
    t.same(said(), [
      'error: internal error; everything else goes on',
      'error: routing database not loaded; the last good table serves on',
    ]);
    t.match(reload.health(), { version: 1, error: /cannot be taken over: slots is undefined/, failures: 3 });
    t.equal(rig.got(1, '10.0.0.1'), 'a picked');
    rig.routing.install = install;
    await reload.look();
    t.match(reload.health(), { version: 2, error: '' });
    t.ok(rig.routing.table.find('b'));
  },
);

t.test('a table that cannot be built leaves no trace in what serves', async (t) => {
  const { rig, repository, reload } = setUp([{ id: 'a' }]);
  await reload.look();
  const { index, table } = rig.routing;
  const rows = Array.from({ length: 1000 }, (_, i) => backend({ id: `b${i}` }));
  const { connections } = rig.ledger;
  rig.ledger.connections = () => {
    throw new Error('a count that is not there');
  };
  repository.set(rows);
  for (let i = 0; i < 3; i++) await reload.look();
  t.match(reload.health(), { version: 1, failures: 3 });
  t.equal(rig.routing.index, index);
  t.equal(rig.routing.table, table);
  t.equal(rig.ledger.slots.slotOf('b0'), -1, 'no slot is kept for what does not serve');
  rig.ledger.connections = connections;
  t.equal(rig.got(1, '10.0.0.1'), 'a picked');
  await reload.look();
  t.match(reload.health(), { version: 2, backends: 1000, error: '' });
});

t.test('a change is taken over as one, and told like a whole table', async (t) => {
  const { rig, repository, reload, log } = setUp([{ id: 'a' }, { id: 'b' }, { id: 'c' }]);
  await reload.look();
  log.said.splice(0);
  const looks: RoutingLook[] = [];
  const look = repository.look.bind(repository);
  repository.look = async (options) => {
    const found = await look(options);
    looks.push(found);
    return found;
  };
  const problem = { id: 'x', column: 'port', value: 'abc', expected: '1 to 65535' };
  repository.set([backend({ id: 'a' }), backend({ id: 'b', weight: 5 }), backend({ id: 'd' })], [problem]);
  await reload.look();
  t.match(looks, [{ kind: 'loaded', content: { removed: ['c'] } }]);
  t.match(
    log.said.map(({ message, fields }) => ({ message, fields })),
    [
      { message: /^routing rows skipped/, fields: { skipped: 1, rows: [problem] } },
      {
        message: 'routing table loaded',
        fields: { version: 2, backends: 3, skipped: 1, added: 1, removed: 1, changed: 1, ids: ['+d', '-c', '~b'] },
      },
    ],
  );
  t.equal(rig.routing.table.find('b')?.weight, 5);
});

t.test('a change that could not be taken over is followed by the whole', async (t) => {
  const { rig, repository, reload } = setUp([{ id: 'a' }]);
  await reload.look();
  const install = rig.routing.install.bind(rig.routing);
  rig.routing.install = () => Promise.reject(new Error('not now'));
  repository.set([backend({ id: 'a' }), backend({ id: 'b' })]);
  await reload.look();
  rig.routing.install = install;
  repository.set([backend({ id: 'a' }), backend({ id: 'b' }), backend({ id: 'c' })]);
  await reload.look();
  t.match(reload.health(), { version: 2, backends: 3, error: '' });
});

t.test('it looks on when a look throws', async (t) => {
  const { repository, reload } = setUp();
  const keepAlive = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(keepAlive));
  const looks = new Promise<void>((resolve) => {
    let count = 0;
    repository.look = () => {
      if (++count === 4) resolve();
      return count % 2 === 0
        ? Promise.reject(new Error('odd'))
        : Promise.resolve({ kind: 'failed', code: 'X', message: `${count}` });
    };
  });
  reload.every(1);
  await looks;
  await reload.stop();
});

t.test('what the operator should mend is said once, though the table is loaded again and again', async (t) => {
  const { repository, reload, said } = setUp([{ id: 'a' }]);
  const look = repository.look.bind(repository);
  repository.look = async (options) => ({ ...(await look({ ...options, force: true })), warning: 'a left-over file' });
  for (let i = 0; i < 3; i++) await reload.look();
  t.same(said(), ['warn: routing database needs attention', 'info: routing table loaded']);
});

t.test('a database that can be read again is well, though nothing in it changed', async (t) => {
  const { repository, reload, said } = setUp([{ id: 'a' }]);
  await reload.look();
  said();
  const { look } = repository;
  repository.look = async () => ({ kind: 'failed', code: 'EDGE_ERR_DB_LOCKED', message: 'it is locked' });
  await reload.look();
  repository.look = look;
  await reload.look();
  t.same(said().slice(1), ['info: routing database is readable again']);
  t.match(reload.health(), { version: 1, error: '', loads: 1 });
});

t.test('rows of which none is good do not end the service, until they are mended or removed', async (t) => {
  const { rig, repository, reload, said } = setUp([{ id: 'a' }]);
  await reload.look();
  said();
  const problem = { id: 'x', column: 'port', value: 'abc', expected: '1 to 65535' };
  repository.set([], [problem]);
  for (let i = 0; i < 3; i++) await reload.look();
  t.same(said(), [
    'warn: routing rows skipped; the good ones serve',
    'error: routing database not loaded; the last good table serves on',
  ]);
  t.match(reload.health(), { version: 1, badRows: 1, error: /each of its 1 rows/, loads: 2, failures: 1 });
  t.equal(rig.got(1, '10.0.0.1'), 'a picked');
  repository.set([]);
  await reload.look();
  t.match(reload.health(), { version: 2, backends: 0, badRows: 0, error: '' }, 'an empty table is a wish');
  repository.set([], [problem]);
  await reload.look();
  t.equal(reload.health().error, '', 'and nothing is lost where nobody serves');
});

t.test('a stop during a look is followed by no further one', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const { repository, reload } = setUp();
  let looks = 0;
  let letGo = () => {};
  repository.look = async () => {
    looks++;
    await new Promise<void>((resolve) => {
      letGo = resolve;
    });
    return { kind: 'unchanged' };
  };
  const turn = async () => {
    mock.timers.tick(1000);
    await nextTurn();
  };
  reload.every(1000);
  await turn();
  letGo();
  await nextTurn();
  await turn();
  t.equal(looks, 2);
  const stopped = reload.stop();
  letGo();
  await stopped;
  for (let i = 0; i < 3; i++) await turn();
  t.equal(looks, 2);
});

t.test('a stop between two looks is followed by none', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const { repository, reload } = setUp();
  let looks = 0;
  repository.look = async () => {
    looks++;
    return { kind: 'unchanged' };
  };
  reload.every(1000);
  await reload.stop();
  mock.timers.tick(1000);
  await nextTurn();
  t.equal(looks, 0);
});

t.test('looks that are asked for at once are one look', async (t) => {
  const { repository, reload } = setUp([{ id: 'a' }]);
  const [first, second] = [reload.look(), reload.look()];
  t.equal(first, second);
  await first;
  repository.fail('EDGE_ERR_DB_MISSING', 'gone');
  await reload.look();
  t.equal(reload.health().failures, 1, 'a later one is a look of its own');
});

t.test('it looks again and again, until it is stopped', async (t) => {
  const { repository, reload } = setUp();
  const keepAlive = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(keepAlive));
  const looks = new Promise<void>((resolve) => {
    let count = 0;
    const look = repository.look.bind(repository);
    repository.look = (options) => {
      if (++count === 3) resolve();
      return look(options);
    };
  });
  reload.every(1);
  await looks;
  await reload.stop();
  repository.set([backend({ id: 'a' })]);
  await reload.look();
  t.equal(reload.health().backends, 0, 'the repository is closed');
});

t.test('a look that is asked for begins after the question, and all who wait share it', async (t) => {
  const { rig, repository, reload } = setUp([{ id: 'a' }]);
  await reload.look();
  let looks = 0;
  let letGo = () => {};
  const slow: typeof repository.look = repository.look.bind(repository);
  repository.look = async () => {
    looks++;
    const found = await slow();
    await new Promise<void>((resolve) => {
      letGo = resolve;
    });
    return found;
  };
  const early = reload.look();
  await until('the first look to have read', () => looks === 1);
  repository.set([backend({ id: 'a' }), backend({ id: 'b' })]);
  const asked = Array.from({ length: 1000 }, () => reload.lookNow());
  letGo();
  await early;
  await until('the second look', () => looks === 2);
  letGo();
  for (const answer of await Promise.all(asked))
    if (!answer.changed || answer.version !== 2 || answer.backends !== 2) t.fail(JSON.stringify(answer));
  t.equal(looks, 2, 'a thousand questions are one look');
  t.equal(rig.routing.table.size, 2);
});

t.test('a look that is asked for says what it found', async (t) => {
  const { rig, repository, reload } = setUp([{ id: 'a' }]);
  t.same(reload.age(), { servesForMs: null, lookedMsAgo: null });
  t.same(await reload.lookNow(), { version: 1, changed: true, backends: 1, skipped: 0 });
  rig.now = 100;
  t.same(await reload.lookNow(), { version: 1, changed: false, backends: 1, skipped: 0 });
  rig.now = 150;
  t.same(reload.age(), { servesForMs: 150, lookedMsAgo: 50 });
  repository.fail('EDGE_ERR_DB_LOCKED', 'it is locked');
  t.same(await reload.lookNow(), { version: 1, changed: false, backends: 1, skipped: 0, error: 'it is locked' });
});
