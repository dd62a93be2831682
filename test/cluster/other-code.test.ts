import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ROOT, type RunningProxy, startProxy } from '../fixtures/proxy.ts';
import { writeRoutingDb } from '../fixtures/routing-db.ts';
import { startBackend } from '../fixtures/tcp-backend.ts';
import { greet } from '../fixtures/tcp-client.ts';

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
        `return { ...this.#reply, image: { ...this.#reply.image, port: undefined, ports: this.#reply.image.port } };`,
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
