#!/usr/bin/env node
// Runs in: cli. Its launcher, `npx edgeproxy <command>`: finds the Node.js that reads TypeScript, whichever the system has.
//
// Plain JavaScript, and no more of it than Node.js 14 knows: this file is what an old one can read.
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

/** The first that takes `.ts` files as they are. */
const OLDEST_MAJOR = 24;
/** EDGE_ERR_PLATFORM, in errors.ts, which an old Node.js cannot read. */
const NO_NODE = 6;

const root = fileURLToPath(new URL('..', import.meta.url));
/** The one that the lockfile pins. */
const pinned = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url));
const program = fileURLToPath(new URL('cli.ts', import.meta.url));

function refuse(what) {
  process.stderr.write(`edgeproxy: ${what}\n`);
  process.exit(NO_NODE);
}

/** Whether this process runs on the Node.js to take; if not, which. */
function choose() {
  if (existsSync(pinned)) return realpathSync(pinned) === realpathSync(process.execPath) ? null : pinned;
  if (Number.parseInt(process.versions.node, 10) >= OLDEST_MAJOR) return null;
  return refuse(
    `Node.js ${OLDEST_MAJOR} or newer is needed, this is ${process.version}, and ${root} lacks the one of its own: ` +
      'run there: npm install -g npm@11 && npm ci',
  );
}

/** Ends as the other Node.js did, and hands on what is sent to this process alone. */
function become(node) {
  const child = spawn(node, [program, ...process.argv.slice(2)], { stdio: 'inherit' });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    refuse(`${node} cannot be run (${error.code}): on musl or another platform, npm ci --omit=optional and Node.js 24`);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    for (const each of signals) process.removeAllListeners(each);
    process.kill(process.pid, signal);
    // For a signal that this process was started to ignore.
    setTimeout(() => process.exit(128 + constants.signals[signal]), 1000);
  });
}

const node = choose();
if (node === null) await import('./cli.ts');
else become(node);
