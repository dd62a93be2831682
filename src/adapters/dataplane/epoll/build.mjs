// Runs in: npm's install script, and by hand. Builds the native engine; without it edgeProxy serves with the stream engine.
//
//     node src/adapters/dataplane/epoll/build.mjs              after npm ci; says in one line what came of it, and never fails
//     node src/adapters/dataplane/epoll/build.mjs --sanitize   for the tests, with sanitizers; fails when it cannot be built
//
// Plain JavaScript, so that any Node that npm may run with can read it.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const sanitize = process.argv.includes('--sanitize');
const require = createRequire(import.meta.url);

/** Where the Node that runs edgeProxy has its headers: our pinned package carries them, as an installation does. */
function headersDirectory() {
  const candidates = [join(root, 'node_modules', `node-linux-${process.arch}`), dirname(dirname(process.execPath))];
  return candidates.find((directory) => existsSync(join(directory, 'include', 'node', 'node_api.h')));
}

/** node-gyp comes with npm, which tells its scripts where; otherwise one that is installed here. */
function nodeGyp() {
  const given = process.env.npm_config_node_gyp;
  if (given && existsSync(given)) return given;
  try {
    return require.resolve('node-gyp/bin/node-gyp.js');
  } catch {
    const npm = spawnSync('npm', ['root', '-g'], { encoding: 'utf8' });
    const bundled = join((npm.stdout ?? '').trim(), 'npm', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
    return existsSync(bundled) ? bundled : undefined;
  }
}

function runs(program, ...args) {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** node-gyp takes npm's settings before its arguments, and an operator's `nodedir` is not about us. */
function environment() {
  const entries = Object.entries(process.env);
  return Object.fromEntries(entries.filter(([name]) => !/^npm_(package_)?config_/i.test(name)));
}

/** `null`: built. Otherwise why not. */
function build() {
  if (process.platform !== 'linux') return `it is for Linux, and this is ${process.platform}`;
  const compiler = process.env.CC || 'cc';
  if (!runs(compiler, '--version')) return 'there is no C compiler (Debian: apt-get install build-essential python3)';
  if (!runs('make', '--version')) return 'there is no make (Debian: apt-get install build-essential)';
  if (!runs('python3', '--version'))
    return 'there is no python3, which node-gyp needs (Debian: apt-get install python3)';
  const headers = headersDirectory();
  if (headers === undefined) return `Node.js ${process.version} came without its headers`;
  const gyp = nodeGyp();
  if (gyp === undefined) return 'node-gyp was not found, which npm carries';
  const args = [gyp, 'configure', 'build', `--nodedir=${headers}`, sanitize ? '--debug' : '--release'];
  const result = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', env: environment() });
  if (result.status === 0) return null;
  const lines = `${result.stdout ?? ''}\n${result.stderr ?? ''}`.split('\n');
  if (sanitize) process.stderr.write(lines.join('\n'));
  const told = lines.find((line) => /\berror\b/i.test(line)) ?? lines.findLast((line) => line !== '') ?? '';
  return `its build failed: ${told.trim().slice(0, 300)}`;
}

const reason = build();
const outcome =
  reason === null ? 'the epoll engine is built' : `the epoll engine is not built, the stream engine serves: ${reason}`;
process.stdout.write(`edgeproxy: ${outcome}\n`);
if (sanitize && reason !== null) process.exitCode = 1;
