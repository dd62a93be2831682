// Runs in: npm's install script, on whatever Node.js npm runs with. Puts the command where `npx edgeproxy` looks first, builds
// the native engine where that is possible, and fails when there is no Node.js to run edgeProxy with.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const commands = new URL('../node_modules/.bin/', import.meta.url);

// npx finds it by package.json too, over a package of its own that it installs for it, in a second at each call.
mkdirSync(commands, { recursive: true });
const link = new URL('edgeproxy', commands);
rmSync(link, { force: true });
symlinkSync('../../src/edgeproxy.mjs', link);

await import('./adapters/dataplane/epoll/build.mjs');

// npm before 11 puts no command of the name `node` there. (10 reads devEngines in package.json, and installs nothing.)
const launcher = fileURLToPath(new URL('edgeproxy.mjs', import.meta.url));
const { status } = spawnSync(process.execPath, [launcher, '--version'], { stdio: ['ignore', 'ignore', 'inherit'] });
process.exitCode ||= status ?? 1;
