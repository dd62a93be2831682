import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { isAlive, kill, ROOT } from './fixtures/proxy.ts';

// The launcher in a checkout of its own, with a program in the place of the commands that tells what it was given.
const PROGRAM = `
if (process.argv[2] === 'wait') process.on('SIGTERM', () => process.exit(7));
process.stdout.write(JSON.stringify({ args: process.argv.slice(2), node: process.version, pid: process.pid, pinned: process.env.PINNED ?? '' }) + '\\n');
if (process.argv[2] === 'wait') {
  setInterval(() => {}, 1000);
} else {
  for await (const chunk of process.stdin) process.stdout.write(String(chunk).toUpperCase());
  process.exitCode = 5;
}
`;

/** A Node.js of the system that cannot run TypeScript; `undefined` where there is none. */
const oldNode = (process.env.PATH ?? '')
  .split(delimiter)
  .map((directory) => join(directory, 'node'))
  .find(
    (path) =>
      existsSync(path) && Number.parseInt(execFileSync(path, ['-p', 'process.versions.node']).toString(), 10) < 24,
  );

function checkout(t: Test, pinned: 'pinned' | 'no node of its own'): string {
  const root = t.testdir({ src: {}, node_modules: { '.bin': {} } });
  copyFileSync(join(ROOT, 'src/edgeproxy.mjs'), join(root, 'src/edgeproxy.mjs'));
  writeFileSync(join(root, 'src/cli.ts'), `${PROGRAM}export type { Test } from 'tap';\n`);
  if (pinned === 'pinned') {
    const node = join(root, 'node_modules/.bin/node');
    writeFileSync(node, `#!/bin/sh\nPINNED=yes exec '${process.execPath}' "$@"\n`);
    chmodSync(node, 0o755);
  }
  return root;
}

const launch = (node: string, root: string, ...args: string[]): ChildProcess =>
  spawn(node, [join(root, 'src/edgeproxy.mjs'), ...args], { stdio: ['pipe', 'pipe', 'pipe'] });

async function outcome(child: ChildProcess) {
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!)]);
  const [code, signal] = (await closed) as [number | null, NodeJS.Signals | null];
  return { code, signal, stdout, stderr };
}

for (const [name, node] of [
  ['an old one', oldNode],
  ['a new one', process.execPath],
] as const) {
  const skip = node === undefined && 'there is no old Node.js on this machine';
  t.test(
    `started by ${name}, the pinned Node.js runs the command with its arguments, input and exit code`,
    { skip },
    async (t) => {
      const child = launch(node!, checkout(t, 'pinned'), 'a b', "it's");
      child.stdin!.end('hello\n');
      const { code, stdout, stderr } = await outcome(child);
      const [told = '', echoed] = stdout.split('\n');
      t.match(JSON.parse(told), { args: ['a b', "it's"], node: process.version, pinned: 'yes' });
      t.equal(echoed, 'HELLO');
      t.equal(stderr, '');
      t.equal(code, 5);
    },
  );
}

t.test('a signal to the launcher reaches the command, and its end is the end of the launcher', async (t) => {
  t.setTimeout(60_000);
  for (const [signal, expected] of [
    ['SIGTERM', { code: 7, signal: null }],
    ['SIGHUP', { code: null, signal: 'SIGHUP' }],
  ] as const) {
    const child = launch(process.execPath, checkout(t, 'pinned'), 'wait');
    const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
    const { pid } = JSON.parse(line) as { pid: number };
    t.teardown(() => [child.pid!, pid].filter(isAlive).forEach(kill));
    const ended = once(child, 'exit');
    child.kill(signal);
    const [code, by] = await ended;
    t.same({ code, signal: by }, expected, signal);
  }
});

t.test('without a pinned one, a Node.js that can does', async (t) => {
  const child = launch(process.execPath, checkout(t, 'no node of its own'));
  child.stdin!.end();
  t.match(await outcome(child), { code: 5, stdout: /"pinned":""/ });
});

const skip = oldNode === undefined && 'there is no old Node.js on this machine';
t.test('without any, one line says what to do', { skip }, async (t) => {
  const root = checkout(t, 'no node of its own');
  const { code, stdout, stderr } = await outcome(launch(oldNode!, root));
  t.equal(code, 6);
  t.equal(stdout, '');
  t.match(
    stderr,
    /^edgeproxy: Node\.js 24 or newer is needed, this is v\d+\S+, [^\n]+ npm install -g npm@11 && npm ci\n$/,
  );
  t.ok(stderr.includes(root));
});

t.test('by a link, as npm makes one, it is the same command', async (t) => {
  const root = checkout(t, 'pinned');
  mkdirSync(join(root, 'bin'));
  symlinkSync('../src/edgeproxy.mjs', join(root, 'bin/edgeproxy'));
  const child = spawn(join(root, 'bin/edgeproxy'), ['x'], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end();
  t.match(await outcome(child), { code: 5, stdout: /"args":\["x"\]/ });
});
