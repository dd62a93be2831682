import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { CLEAN_ENV } from '../../../fixtures/clean-env.ts';
import { ROOT } from '../../../fixtures/proxy.ts';

const ENGINE = 'src/adapters/dataplane/epoll';

/** A checkout, as far as the build goes, under a path with blanks. */
function checkout(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'edge proxy '));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const root = join(directory, "somebody's check out");
  mkdirSync(root);
  cpSync(join(ROOT, ENGINE), join(root, ENGINE), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  return root;
}

function build(root: string, env: Readonly<Record<string, string>> = {}) {
  const all = { ...CLEAN_ENV, ...env };
  return spawnSync(process.execPath, [join(root, ENGINE, 'build.mjs')], { encoding: 'utf8', env: all });
}

const noCompiler = process.platform !== 'linux' || spawnSync('cc', ['--version']).status !== 0;
const skip = noCompiler && 'there is no C compiler here, or no Linux';

t.test('the engine builds in a checkout with blanks and quotes in its path, and loads', { skip }, async (t) => {
  const root = checkout(t);
  const { status, stdout } = build(root);
  t.equal(stdout, 'edgeproxy: the epoll engine is built\n');
  t.equal(status, 0);
  t.same(readdirSync(join(root, 'build/Release')), ['edgeproxy_epoll.node'], 'and nothing else is left');
  const load = `process.stdout.write(typeof require(${JSON.stringify(join(root, 'build/Release/edgeproxy_epoll.node'))}).Engine)`;
  t.equal(spawnSync(process.execPath, ['-e', load], { encoding: 'utf8' }).stdout, 'function');
});

t.test('without a compiler it says so in one line, and does not fail', { skip }, async (t) => {
  t.match(build(checkout(t), { CC: 'no-such-compiler' }), {
    status: 0,
    stdout: /^edgeproxy: the epoll engine is not built, the stream engine serves: there is no C compiler \(.*ENOENT\n$/,
  });
});
