// Runs in: npm's install script, and by hand. Builds the native engine; without it edgeProxy serves with the stream engine.
//
//     node src/adapters/dataplane/epoll/build.mjs              after npm ci; says in one line what came of it, and never fails
//     node src/adapters/dataplane/epoll/build.mjs --sanitize   for the tests, with sanitizers; fails when it cannot be built
//
// Plain JavaScript, so that any Node that npm may run with can read it.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const sources = fileURLToPath(new URL('native/', import.meta.url));
const sanitize = process.argv.includes('--sanitize');
const output = join(root, 'build', sanitize ? 'Debug' : 'Release', 'edgeproxy_epoll.node');

const FLAGS = [
  ...['-std=gnu11', '-shared', '-fPIC', '-pthread', '-fvisibility=hidden', '-fno-omit-frame-pointer'],
  ...['-DNAPI_VERSION=8', '-D_GNU_SOURCE', '-D_FILE_OFFSET_BITS=64'],
  ...['-Wall', '-Wextra', '-Wshadow', '-Wconversion', '-Wno-sign-conversion'],
];
const RELEASE = ['-O3'];
const SANITIZED = ['-Werror', '-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];

/** Where the Node that runs edgeProxy has its headers: our pinned package carries them, as an installation does. */
function headersDirectory() {
  const candidates = [join(root, 'node_modules', `node-linux-${process.arch}`), dirname(dirname(process.execPath))];
  return candidates.map((each) => join(each, 'include', 'node')).find((each) => existsSync(join(each, 'node_api.h')));
}

/** `null`: built. Otherwise why not. One call of the compiler: node-gyp would want make, Python, and a path without blanks. */
function build() {
  if (process.platform !== 'linux') return `it is for Linux, and this is ${process.platform}`;
  const headers = headersDirectory();
  if (headers === undefined) return `Node.js ${process.version} came without its headers`;
  const files = readdirSync(sources).filter((name) => name.endsWith('.c'));
  // Under its name when it is whole: a proxy that runs has the old one open, and may load it again at any time.
  const unfinished = `${output}.${process.pid}`;
  const args = [...FLAGS, ...(sanitize ? SANITIZED : RELEASE), '-isystem', headers, '-o', unfinished, ...files];
  mkdirSync(dirname(output), { recursive: true });
  const result = spawnSync(process.env.CC || 'cc', args, { cwd: sources, encoding: 'utf8' });
  if (result.error) return `there is no C compiler (Debian: apt-get install build-essential): ${result.error.message}`;
  if (sanitize) process.stderr.write(result.stderr);
  if (result.status === 0) {
    renameSync(unfinished, output);
    return null;
  }
  rmSync(unfinished, { force: true });
  const lines = result.stderr.split('\n');
  const told = lines.find((line) => /\berror\b/i.test(line)) ?? lines.find((line) => line !== '') ?? '';
  return `its build failed: ${told.trim().slice(0, 300)}`;
}

const reason = build();
const outcome =
  reason === null ? 'the epoll engine is built' : `the epoll engine is not built, the stream engine serves: ${reason}`;
process.stdout.write(`edgeproxy: ${outcome}\n`);
if (sanitize && reason !== null) process.exitCode = 1;
