import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { PROTOCOL as PROTOCOL_NOW } from '../../src/ipc/messages.ts';
import { SKIPPED } from '../fixtures/engines.ts';
import { kill, ROOT, type RunningProxy, startProxy } from '../fixtures/proxy.ts';
import { writeRoutingDb } from '../fixtures/routing-db.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { greet } from '../fixtures/tcp-client.ts';
import { until } from '../fixtures/until.ts';

// What stands on disk under an old primary is the business of the next start, and of rolled workers.

const PROTOCOL = 'src/adapters/outbound/sqlite/load-protocol.ts';
const TASK = 'workers/load-routing-table.ts';
/** Lets the test end the loading thread, as running out of memory would. */
const MORTAL = `import { existsSync } from 'node:fs';
export default async function mortal(request) {
  if (existsSync(request.path + '.end')) process.exit(1);
  return loadRoutingTable(request);
}
`;

/** A checkout of its own, whose code the test may change. */
function checkout(t: Test) {
  const root = mkdtempSync(join(tmpdir(), 'edgeproxy-code-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  for (const each of ['src', 'workers', 'package.json'])
    cpSync(join(ROOT, each), join(root, each), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  const edit = (file: string, change: (text: string) => string) => {
    const path = join(root, file);
    const text = readFileSync(path, 'utf8');
    const changed = change(text);
    if (changed === text) throw new Error(`nothing to change in ${file}`);
    // As npm and git do it: another file in its place.
    writeFileSync(`${path}.new`, changed);
    renameSync(`${path}.new`, path);
  };
  edit(TASK, (text) => MORTAL + text.replace('export default async', 'async'));
  return { root, edit };
}

async function isServed(proxy: RunningProxy): Promise<boolean> {
  const client = await greet(proxy.port);
  client?.socket.destroy();
  return client !== null;
}

const look = async (proxy: RunningProxy) =>
  (await proxy.post<{ version: number; error?: string }>('/api/v1/routing/look')).body;

for (const [what, file, change] of [
  [
    'renames a column of its answer',
    TASK,
    (text: string) =>
      text.replace(
        'return this.#reply;',
        `return { ...this.#reply, content: { ...this.#image, port: undefined, ports: this.#image.port } };`,
      ),
  ],
  ['speaks another version', PROTOCOL, (text: string) => text.replace(/LOAD_VERSION = \d+/, 'LOAD_VERSION = 999')],
  ['cannot be loaded', TASK, (text: string) => `import './what-is-not-there.ts';\n${text}`],
] as const) {
  t.test(`new code on disk that ${what} does not end a primary, nor its table`, async (t) => {
    const { root, edit } = checkout(t);
    const backend = await startBackend(t, 'one');
    const row = { id: 'one', port: backend.port };
    const proxy = await startProxy(t, { root, rows: [row] });
    let original = '';
    edit(file, (text) => {
      original = text;
      return change(text);
    });
    writeRoutingDb(proxy.dbPath, [row, { id: 'two', healthy: false }]);
    t.match(await look(proxy), { version: 2, error: undefined }, 'the code of the start is what loads');

    writeFileSync(`${proxy.dbPath}.end`, '');
    writeRoutingDb(proxy.dbPath, [row]);
    t.match((await look(proxy)).error, /the thread that loads .* failed/);
    rmSync(`${proxy.dbPath}.end`);
    const { version, error } = await look(proxy);
    t.equal(version, 2, 'the last good table');
    t.match(error, what === 'cannot be loaded' ? /failed: Cannot find module/ : /another release.*restart the proxy/);
    t.ok(await isServed(proxy));

    edit(file, () => original);
    t.match(await look(proxy), { version: 3, error: undefined }, 'and is loaded when the code fits again');
    t.same(await proxy.stop(), { code: 0, signal: null });
  });
}

t.test('a primary whose code is gone from disk loads, answers and stops all the same', async (t) => {
  const { root } = checkout(t);
  const backend = await startBackend(t, 'one');
  const row = { id: 'one', port: backend.port };
  const proxy = await startProxy(t, { root, rows: [row] });
  for (const each of ['src', 'workers', 'node_modules', 'package.json']) rmSync(join(root, each), { recursive: true });

  writeRoutingDb(proxy.dbPath, [row, { id: 'two', port: backend.port }]);
  t.match(await look(proxy), { version: 2, error: undefined });
  t.ok(await isServed(proxy));
  const paths = ['/', '/healthz', '/readyz', '/metrics', '/api/v1/status', '/api/v1/backends', '/api/v1/workers'];
  for (const path of [...paths, '/api/v1/explain?ip=203.0.113.7&listener=', '/nowhere']) {
    t.ok((await fetch(`${proxy.admin}${path}`)).status < 500, path);
  }
  t.equal((await proxy.post('/api/v1/workers/scale', { count: 'many' })).status, 400);
  proxy.signal('SIGHUP');
  t.ok(await isServed(proxy));
  t.same(await proxy.stop(), { code: 0, signal: null });
  t.same(proxy.noise, []);
  const defects = proxy.log.filter(({ msg }) => msg.startsWith('internal error'));
  t.same(defects, []);
});

t.test(
  'new code that needs another configuration than the primary has says so, and a roll to it is refused',
  async (t) => {
    const { root, edit } = checkout(t);
    const proxy = await startProxy(t, { root });
    for (const [from, to, reason] of [
      [/CONFIG_VERSION = \d+;/, 'CONFIG_VERSION = 99;', "configuration is of version 1, and this worker's of 99"],
      ['engine: (value)', 'colour: atLeast(1),\n  engine: (value)', 'lacks what this worker needs (colour)'],
    ] as const) {
      let original = '';
      edit('src/ipc/worker-config.ts', (text) => {
        original = text;
        return text.replace(from, to);
      });
      const { status, body } = await proxy.post<{ error: { message: string } }>('/api/v1/workers/roll');
      t.equal(status, 503);
      t.match(body.error.message, `${reason}: stop and start the proxy to change the version`);
      edit('src/ipc/worker-config.ts', () => original);
    }
    t.equal((await proxy.serving()).length, 2, 'those of before serve on');
  },
);

for (const engine of ['stream', 'epoll'] as const) {
  t.test(
    `${engine}: a worker that dies over code that no longer fits is replaced by one of its own release`,
    { skip: SKIPPED[engine] },
    async (t) => {
      const backend = await startBackend(t, 'one');
      const { root, edit } = checkout(t);
      if (engine === 'epoll') cpSync(join(ROOT, 'build/Release'), join(root, 'build/Release'), { recursive: true });
      const proxy = await startProxy(t, { rows: [{ id: 'one', port: backend.port }], root, engine });
      const killAll = async () => {
        const victims = await proxy.workers();
        for (const { pid } of victims) kill(pid);
        await until('others to serve', async () => {
          const fresh = (await proxy.serving()).filter(({ pid }) => !victims.some((victim) => victim.pid === pid));
          return fresh.length === 2;
        });
        t.ok(await isServed(proxy));
      };
      const noted = async () => (await proxy.get<{ reasons: string[] }>('/readyz')).reasons.join();

      edit('src/ipc/messages.ts', (text) => text.replace(/PROTOCOL = \d+;/, 'PROTOCOL = 99;'));
      await killAll();
      t.match(await noted(), 'the code on disk is of another release than the workers run');
      t.match(
        (await proxy.post('/api/v1/workers/roll')).status,
        503,
        'a roll is refused, as the primary speaks another protocol',
      );
      await killAll();
      rmSync(join(root, 'workers'), { recursive: true });
      await killAll();
      t.equal(proxy.log.filter(({ msg, reason }) => msg === 'worker died' && reason !== 'signal SIGKILL').length, 1);

      // What fits is taken up by a roll, and by what dies after it.
      cpSync(join(ROOT, 'workers'), join(root, 'workers'), { recursive: true });
      edit('src/ipc/messages.ts', (text) => text.replace('PROTOCOL = 99;', `PROTOCOL = ${PROTOCOL_NOW};`));
      edit('workers/proxy.ts', (text) =>
        text.replace('let draining = false;', "let draining = false;\nlog.info({}, 'new code');"),
      );
      await killAll();
      t.equal(proxy.log.filter(({ msg }) => msg === 'new code').length, 0, 'not before');
      t.equal((await proxy.post('/api/v1/workers/roll')).status, 200);
      const ofNewCode = (count: number) =>
        until(
          `${count} starts of the new code`,
          () => proxy.log.filter(({ msg }) => msg === 'new code').length === count,
        );
      await ofNewCode(2);
      t.notMatch(await noted(), 'another release');
      await killAll();
      await ofNewCode(4);
    },
  );
}
