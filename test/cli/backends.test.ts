import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { runProgram } from '../../src/cli/program.ts';
import { writeRoutingDb } from '../fixtures/routing-db.ts';
import { runCli } from './run-cli.ts';

/** Where no proxy is. */
const NOBODY = '127.0.0.1:1';
const ADD = ['backends', 'add', 'sa-1', '--region', 'sa', '--host', '10.0.0.5', '--port', '8080'];

function rowsIn(path: string): Record<string, unknown>[] {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare<[], Record<string, unknown>>('SELECT * FROM backends ORDER BY id').all();
  } finally {
    db.close();
  }
}

t.test('the life of a backend', async (t) => {
  const cwd = t.testdir();
  const path = join(cwd, 'routing.db');
  const env = { EDGEPROXY_DB_RELOAD_SECS: '7', EDGEPROXY_ADMIN_ADDR: NOBODY };
  const run = (...args: string[]) => runCli(args, { cwd, env });

  const added = await run(...ADD, '--country', 'br');
  t.match(added, { code: 0, stderr: '' });
  t.equal(
    added.stdout,
    'added sa-1: 10.0.0.5:8080 in sa/BR, weight 1, soft limit 100, no hard limit, enabled\n' +
      `created the routing database ${realpathSync(path)}\n` +
      `no proxy runs at ${NOBODY} (--admin names another); ` +
      'a running proxy of this database sees it within 7 s (EDGEPROXY_DB_RELOAD_SECS)\n',
  );
  const row = {
    id: 'sa-1',
    app: '',
    region: 'sa',
    country: 'BR',
    wg_ip: '10.0.0.5',
    port: 8080,
    healthy: 1,
    weight: 1,
    soft_limit: 100,
    hard_limit: 0,
    deleted: 0,
  };
  t.same(rowsIn(path), [row]);

  t.match(await run(...ADD), { code: 5, stdout: '', stderr: /sa-1 exists.*"backends set"/ });

  const changed = await run(
    'backends',
    'set',
    'sa-1',
    '--weight',
    '3',
    '--country',
    '',
    '--wg-ip',
    '::1',
    '--app',
    'game',
  );
  t.match(changed, { code: 0, stdout: /^changed sa-1: \[::1\]:8080 in sa, app game, weight 3,/ });
  const set = { ...row, weight: 3, country: null, wg_ip: '::1', app: 'game' };
  t.same(rowsIn(path), [set], 'what is not given stays');

  t.match(await run('backends', 'disable', 'sa-1'), { code: 0, stdout: /^disabled sa-1\n/ });
  t.same(rowsIn(path), [{ ...set, healthy: 0 }]);
  t.match(await run('backends', 'remove', 'sa-1'), { code: 0, stdout: /^removed sa-1\n/ });
  t.same(rowsIn(path), [{ ...set, healthy: 0, deleted: 1 }]);
  const enabled = await run('backends', 'enable', 'sa-1');
  t.match(enabled, { code: 0, stdout: /^enabled sa-1\nbut it is removed: .*--restore/ });
  const restored = await run('backends', 'set', 'sa-1', '--restore', '--json');
  t.same(JSON.parse(restored.stdout), {
    backend: { ...set, healthy: true, deleted: false },
    database: realpathSync(path),
    created: false,
    reload_secs: 7,
    proxy: { seen: false, why: 'no_proxy', detail: `no proxy runs at ${NOBODY}` },
  });
  t.same(rowsIn(path), [set]);

  t.match(await run('backends', 'delete', 'sa-1'), { code: 2, stdout: '', stderr: /add --yes/ });
  t.same(rowsIn(path), [set], 'without a terminal nothing is deleted unasked');
  t.match(await run('backends', 'delete', 'sa-1', '--yes'), { code: 0, stdout: /^deleted sa-1\n/ });
  t.same(rowsIn(path), []);
  t.match(await run('backends', 'list'), { code: 0, stdout: /^no backends in .*\/routing.db: add one/ });
});

t.test('list: every row, the bad ones with what is wrong', async (t) => {
  const cwd = t.testdir();
  const path = join(cwd, 'table.db');
  writeRoutingDb(path, [
    { id: 'eu-1', app: 'game', hardLimit: 20, port: 9001 },
    { id: 'sa-1', region: 'sa', country: 'BR', port: 9002, weight: 0 },
    { id: 'sa-2', region: 'sa', port: 9003, healthy: false },
    { id: 'sa-3', region: 'sa', port: 9004, deleted: true },
  ]);
  const db = new Database(path);
  db.prepare("INSERT INTO backends (id, app, region, wg_ip, port) VALUES (?, '', 'sa', '10.0.0.1', ?)").run(
    'bad',
    'a\x1b[2J',
  );
  db.prepare('INSERT INTO backends (id) VALUES (NULL)').run();
  db.close();

  const lines = (stdout: string) =>
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/).join('|'));
  const env = { EDGEPROXY_DB_PATH: 'table.db', EDGEPROXY_ADMIN_ADDR: NOBODY };
  const all = await runCli(['backends', 'list'], { cwd, env });
  t.match(all.stderr, /^without connections: .*nothing listens there/);
  t.equal(all.code, 0);
  t.notOk(all.stdout.includes('\x1b'));
  const [head, ...rows] = lines(all.stdout);
  t.equal(head, 'ID|APP|PLACE|ADDRESS|WEIGHT|SOFT|HARD|STATE');
  t.match(rows, [
    'NULL|-|-|-|-|-|-|INVALID',
    'bad|-|-|-|-|-|-|INVALID',
    'eu-1|game|eu|127.0.0.1:9001|1|10|20|enabled',
    'sa-1|-|sa/BR|127.0.0.1:9002|0|10|-|draining',
    'sa-2|-|sa|127.0.0.1:9003|1|10|-|disabled',
    'sa-3|-|sa|127.0.0.1:9004|1|10|-|removed',
    /^the proxy skips NULL: id is NULL: .*--rowid 6\)$/,
    /^the proxy skips bad: port is a\\u\{1b\}\[2J: expected an integer from 1 to 65535$/,
  ]);

  const list = async (...args: string[]) => {
    const { code, stdout } = await runCli(['backends', 'list', '--db', path, '--admin', NOBODY, '--json', ...args]);
    t.equal(code, 0);
    return (JSON.parse(stdout) as { backends: Record<string, unknown>[] }).backends;
  };
  const [nameless, bad, eu] = await list();
  t.match(nameless, { rowid: 6, problem: { column: 'id', value: 'NULL' } });
  t.match(bad, { id: 'bad', problem: { column: 'port', value: 'a\\u{1b}[2J', expected: /65535/ } });
  t.same(eu, {
    id: 'eu-1',
    app: 'game',
    region: 'eu',
    country: null,
    wg_ip: '127.0.0.1',
    port: 9001,
    healthy: true,
    weight: 1,
    soft_limit: 10,
    hard_limit: 20,
    deleted: false,
  });
  t.same(
    (await list('--region', 'SA')).map(({ id }) => id),
    ['sa-1', 'sa-2', 'sa-3'],
  );
  t.same(
    (await list('--app', 'game')).map(({ id }) => id),
    ['eu-1'],
  );
  t.same(await list('--app', 'other'), []);

  const set = await runCli(['backends', 'set', 'bad', '--port', '80', '--db', path]);
  t.match(set, { code: 0, stdout: /^changed bad: INVALID, the proxy skips it: healthy is NULL/ });
  t.match(await runCli(['backends', 'delete', '--rowid', '6', '--yes', '--db', path]), { code: 0 });
  t.equal((await list()).length, 5);
});

t.test('a long table is one table', async (t) => {
  const path = join(t.testdir(), 'routing.db');
  writeRoutingDb(path, [...Array.from({ length: 150 }, () => ({})), { id: 'a-name-that-is-longer-than-the-others' }]);
  const wide = { env: { COLUMNS: '120' } };
  const { stdout } = await runCli(['backends', 'list', '--db', path, '--admin', NOBODY], wide);
  const lines = stdout.trimEnd().split('\n');
  t.equal(lines.length, 152);
  t.equal(new Set(lines.slice(1).map((line) => line.indexOf('enabled'))).size, 1, 'its columns stand below each other');
});

t.test('what may not be written is not, and says why', async (t) => {
  const cwd = t.testdir();
  const path = join(cwd, 'routing.db');
  await runCli(ADD, { cwd });
  const before = rowsIn(path);
  const refused: readonly (readonly [string, number, RegExp])[] = [
    ['backends set sa-1 --port 70000', 2, /port is 70000: expected an integer from 1 to 65535/],
    ['backends set sa-1 --host localhost', 2, /wg_ip is localhost: expected a unicast/],
    ['backends set sa-1 --hard-limit -1', 2, /hard_limit is -1/],
    ['backends set sa-1 --country ZZ', 2, /country is ZZ/],
    [
      'backends set sa-1 --host 127.0.0.1',
      2,
      /127\.0\.0\.1:8080 is an address of edgeProxy itself.*EDGEPROXY_LISTEN_ADDR/,
    ],
    ['backends set sa-l --weight 1', 5, /no backend sa-l: did you mean sa-1\?/],
    ['backends enable nobody', 5, /no backend nobody/],
    ['backends delete nobody --yes', 5, /no backend nobody/],
    ['backends delete nobody', 5, /no backend nobody/],
    ['backends delete --rowid 9 --yes', 5, /no row 9/],
    [
      'backends add b --region sa --host 127.9.9.9 --port 8080',
      2,
      /127\.9\.9\.9:8080 is an address of edgeProxy itself/,
    ],
    ['backends add b --region xx --host 10.0.0.1 --port 80', 2, /region is xx: expected one of sa, us/],
  ];
  for (const [line, exitCode, message] of refused) {
    await t.rejects(runProgram([...line.split(' '), '--db', path]), { exitCode, message }, line);
  }
  t.same(rowsIn(path), before);
  const elsewhere = { EDGEPROXY_LISTEN_ADDR: '127.0.0.2:9000' };
  const allowed = await runCli(['backends', 'set', 'sa-1', '--host', '127.0.0.1'], { cwd, env: elsewhere });
  t.equal(allowed.code, 0, 'the listeners are those of the environment');
});

t.test('values are bound, never spliced', async (t) => {
  const cwd = t.testdir();
  const id = "x'); DROP TABLE backends; --";
  const { code } = await runCli(['backends', 'add', '--region', 'sa', '--host', '10.0.0.1', '--port', '80', '--', id], {
    cwd,
  });
  t.equal(code, 0);
  t.match(rowsIn(join(cwd, 'routing.db')), [{ id }]);
});

t.test('the database itself is at fault', async (t) => {
  const cwd = t.testdir({ 'garbage.db': 'x'.repeat(5000) });
  t.match(await runCli(['backends', 'list'], { cwd }), {
    code: 4,
    stdout: '',
    stderr: /does not exist.*"backends add"/,
  });
  t.match(await runCli(['backends', 'set', 'a', '--weight', '1'], { cwd }), { code: 4 });
  t.notOk(existsSync(join(cwd, 'routing.db')), 'only add creates one');
  const garbage = await runCli(['backends', 'list', '--db', 'garbage.db', '--json'], { cwd });
  t.equal(garbage.code, 4);
  t.match(JSON.parse(garbage.stderr), { error: { code: 'EDGE_ERR_DB_UNREADABLE', message: /garbage\.db/ } });
  const nowhere = await runCli([...ADD, '--db', 'missing/routing.db'], { cwd });
  t.match(nowhere, { code: 4, stderr: /directory does not exist/ });
});
