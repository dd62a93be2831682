import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { VARIABLES } from '../../src/config.ts';
import { WriterProcess } from '../adapters/outbound/sqlite/writer-process.ts';
import { freePort } from '../fixtures/bind-socket.ts';
import { writeRoutingDb } from '../fixtures/routing-db.ts';
import { CLI, runCli } from './run-cli.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');

/** Addresses that are free whatever else runs here. */
const FREE = { EDGEPROXY_LISTEN_ADDR: '127.0.0.1:0', EDGEPROXY_ADMIN_ADDR: '127.0.0.1:0' };
const TOKEN = 'a-secret-of-the-operator';

t.test('the defaults, in an empty directory', async (t) => {
  const cwd = t.testdir();
  const { code, stdout, stderr } = await runCli(['check'], { cwd, env: FREE });
  t.equal(code, 0);
  t.equal(stderr, '');
  t.match(stdout, /^VARIABLE +VALUE +SOURCE\nEDGEPROXY_LISTEN_ADDR +127\.0\.0\.1:0 +set\n/);
  t.match(stdout, /^EDGEPROXY_DB_PATH +routing\.db +default$/m);
  t.match(stdout, /^addresses: free$/m);
  for (const name of Object.keys(VARIABLES)) t.match(stdout, new RegExp(`^${name} `, 'm'), name);
  t.match(stdout, /routing database routing\.db: does not exist yet; the start creates it/);
  t.match(stdout, /GeoIP database \(bundled\): readable\nengine: (epoll|stream); \d+ client/);
  t.match(stdout, /warning: no backend serves: clients are refused until there is one\nok, with 1 warning\n$/);
  t.notOk(existsSync(join(cwd, 'routing.db')), 'nothing is created');
});

t.test('what is set is shown, and a token is not', async (t) => {
  const env = { ...FREE, EDGEPROXY_REGION: 'eu', EDGEPROXY_ADMIN_TOKEN: TOKEN, EDGEPROXY_REGOIN: 'us', DEBUG: '' };
  const { code, stdout } = await runCli(['check'], { cwd: t.testdir(), env });
  t.equal(code, 0);
  t.match(stdout, /^EDGEPROXY_REGION +eu +set$/m);
  t.match(stdout, /^EDGEPROXY_ADMIN_TOKEN +\(not shown\) +set$/m);
  t.match(stdout, /^DEBUG +\(none\) +set$/m);
  t.match(stdout, /warning: EDGEPROXY_REGOIN is no variable.*\nwarning: .*\nok, with 2 warnings\n$/);
  t.notMatch(stdout, TOKEN);

  const json = await runCli(['check', '--json'], { cwd: t.testdir(), env });
  t.equal(json.code, 0);
  t.notMatch(json.stdout, TOKEN);
  const report = JSON.parse(json.stdout) as { variables: object[] };
  t.match(report, {
    ok: true,
    unknown_variables: ['EDGEPROXY_REGOIN'],
    database: { path: 'routing.db', exists: false, error: null },
    geoip: { path: null, error: null },
  });
  t.ok(
    report.variables.some((each) => JSON.stringify(each) === '{"name":"EDGEPROXY_REGION","value":"eu","source":"set"}'),
  );
});

t.test('every wrong variable is named', async (t) => {
  const env = {
    EDGEPROXY_REGION: 'mars',
    EDGEPROXY_WORKERS: '0',
    EDGEPROXY_ADMIN_TOKEN: 'too short',
    EDGEPROXY_WORKRES: '2',
  };
  const { code, stdout, stderr } = await runCli(['check'], { env });
  t.equal(code, 2);
  t.equal(stdout, '');
  t.match(stderr, /^EDGEPROXY_WORKRES is no variable.*misspelt\?\nedgeproxy: the configuration is wrong in 3 places:/);
  t.match(stderr, /EDGEPROXY_REGION="mars": may hold sa, us/);
  t.match(stderr, /EDGEPROXY_WORKERS="0": may hold/);
  t.match(stderr, /EDGEPROXY_ADMIN_TOKEN="\(not shown\)"/);
  t.notMatch(stderr, 'too short');

  const json = await runCli(['check', '--json'], { env });
  t.equal(json.code, 2);
  t.match(JSON.parse(json.stderr), { error: { code: 'EDGE_ERR_CONFIG', message: /in 3 places/ } });
});

t.test('a writer that died in its commit: what to do, and not to grant rights', async (t) => {
  const cwd = t.testdir();
  const path = join(cwd, 'routing.db');
  writeRoutingDb(
    path,
    Array.from({ length: 20 }, (_, i) => ({ id: `${i}`.padStart(250, 'x') })),
  );
  const writer = new WriterProcess(t, path);
  await writer.exec('PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; DELETE FROM backends');
  await writer.end();
  const { code, stdout, stderr } = await runCli(['check'], { cwd, env: FREE });
  t.equal(code, 4);
  t.match(stdout, /routing database routing\.db: NOT READABLE/);
  t.match(stderr, /a program died in it\. Open .*routing\.db "PRAGMA user_version", or edgeproxy backends list/);
  t.notMatch(stderr, /the right to/);
  // And that helps.
  t.equal((await runCli(['backends', 'list'], { cwd })).code, 0);
  t.match(await runCli(['check'], { cwd, env: FREE }), { code: 0, stdout: /20 backends/ });
});

t.test('rows: the good ones counted, the others named, with loops', async (t) => {
  const cwd = t.testdir();
  const path = join(cwd, 'routing.db');
  const [port, admin, game] = [freePort(), freePort(), freePort()];
  writeRoutingDb(path, [
    { id: 'good' },
    { id: 'idle', port: 9100, weight: 0 },
    { id: 'loop', host: '127.0.0.1', port },
    { id: 'admin-loop', host: '127.0.0.1', port: admin },
  ]);
  const db = new Database(path);
  db.prepare("UPDATE backends SET region = ? WHERE id = 'good'").run('eu');
  db.prepare("INSERT INTO backends (id, region) VALUES ('broken', ?)").run('\x1b]0;title\x07');
  db.close();
  const env = {
    EDGEPROXY_LISTEN_ADDR: `0.0.0.0:${port},127.0.0.1:${game}=game`,
    EDGEPROXY_ADMIN_ADDR: `127.0.0.1:${admin}`,
  };
  const { code, stdout } = await runCli(['check'], { cwd, env });
  t.equal(code, 0);
  t.match(stdout, /routing\.db: 2 backends, 1 serving, 3 rows skipped/);
  t.match(stdout, /skipped loop: wg_ip is 127\.0\.0\.1: expected an address that is not one of our own listeners/);
  t.match(stdout, /skipped admin-loop: wg_ip/);
  t.match(stdout, /skipped broken: region is \\u\{1b\}\]0;title\\u\{7\}: expected one of sa/);
  t.match(stdout, `warning: no backend of app "game" serves: clients of the listener 127.0.0.1:${game}`);

  const json = await runCli(['check', '--json'], { cwd, env });
  t.match(JSON.parse(json.stdout), { ok: true, database: { exists: true, backends: 2, serving: 1, skipped: 3 } });
});

t.test('a start that would fail fails here, with its exit code', async (t) => {
  const cwd = t.testdir({ file: 'x', admin: 'no socket' });
  const fails: readonly (readonly [Record<string, string>, number, RegExp])[] = [
    [{ EDGEPROXY_DB_PATH: 'no/routing.db' }, 4, /routing\.db cannot be created: the directory .*no does not exist/],
    [{ EDGEPROXY_DB_PATH: 'file/routing.db' }, 4, /routing\.db.*/],
    [
      { EDGEPROXY_ADMIN_ADDR: 'unix:no/admin.sock' },
      3,
      /^edgeproxy: cannot listen on the admin address unix:\S+: the directory .*no does not exist: set EDGEPROXY_ADMIN_ADDR.*\n$/,
    ],
    [{ EDGEPROXY_ADMIN_ADDR: 'unix:admin' }, 3, /^edgeproxy: .*: a file that is no socket is there.*\n$/],
    [{ EDGEPROXY_ADMIN_ADDR: `unix:${'x'.repeat(109)}` }, 3, /may have 10[48] bytes/],
  ];
  for (const [env, code, message] of fails) {
    const start = { EDGEPROXY_LISTEN_ADDR: '127.0.0.1:0', EDGEPROXY_ADMIN_ADDR: 'off', ...env };
    t.match(await runCli(['check'], { cwd, env: start }), { code, stderr: message }, JSON.stringify(env).slice(0, 60));
    const { status, stderr } = spawnSync(process.execPath, [MAIN], {
      cwd,
      env: start,
      encoding: 'utf8',
      timeout: 30_000,
    });
    t.equal(status, code, `as the start does: ${stderr}`);
  }
});

t.test('a directory that this user may not write to', { skip: process.getuid?.() === 0 && 'root may' }, async (t) => {
  const cwd = t.testdir({ sealed: {} });
  chmodSync(join(cwd, 'sealed'), 0o500);
  const { code, stderr } = await runCli(['check'], { cwd, env: { EDGEPROXY_DB_PATH: 'sealed/routing.db' } });
  t.match({ code, stderr }, { code: 4, stderr: /this user may not write to the directory/ });
});

t.test('few descriptors are warned of', { skip: process.platform !== 'linux' }, async (t) => {
  const command = 'ulimit -n 512 && exec "$0" "$@"';
  const { status, stdout } = spawnSync('sh', ['-c', command, process.execPath, CLI, 'check'], {
    cwd: t.testdir(),
    encoding: 'utf8',
    env: {},
  });
  t.equal(status, 0);
  t.match(
    stdout,
    /; 223 client connections a worker at most\n(.*\n)*warning: a worker can hold few client connections, .*: raise/,
  );
});

t.test('databases that cannot be read', async (t) => {
  const cwd = t.testdir({ 'bad.mmdb': 'x', 'bad.db': 'y'.repeat(5000), dir: {} });
  const env = { ...FREE, EDGEPROXY_DB_PATH: 'bad.db', EDGEPROXY_GEOIP_PATH: 'bad.mmdb' };
  const both = await runCli(['check'], { cwd, env });
  t.equal(both.code, 4);
  t.match(both.stdout, /routing database bad\.db: NOT READABLE\nGeoIP database bad\.mmdb: NOT READABLE\n/);
  t.match(both.stderr, /several things are wrong:\n {2}.*bad\.db.*\n {2}.*bad\.mmdb/);
  const json = await runCli(['check', '--json'], { cwd, env });
  t.equal(json.code, 4);
  t.match(JSON.parse(json.stdout), { ok: false, geoip: { error: { code: 'EDGE_ERR_GEOIP' } } });
  t.match(JSON.parse(json.stderr), { error: { code: 'EDGE_ERR_DB_UNREADABLE' } });
  t.match(await runCli(['check'], { cwd, env: { ...FREE, EDGEPROXY_DB_PATH: 'dir' } }), {
    code: 4,
    stderr: /not a regular file/,
  });
});
