import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { CLEAN_ENV } from '../fixtures/clean-env.ts';
import { isAlive, ROOT } from '../fixtures/proxy.ts';
import { until } from '../fixtures/until.ts';

// The demo's exit code is 0 only if everything held that it tells; and however it ends, it leaves nothing behind.

// The demo runs once in full and three times in part: half a minute, or more on a machine with other work.
t.setTimeout(180_000);

class Demo {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown[]>;
  readonly #directory: string;
  stdout = '';
  stderr = '';

  constructor(t: Test) {
    this.#directory = t.testdir();
    this.#child = spawn(process.execPath, [join(ROOT, 'test/demo/run.ts')], {
      // A process group of its own, in which whatever it leaves behind would be found.
      detached: true,
      env: { ...CLEAN_ENV, TMPDIR: this.#directory },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#exited = once(this.#child, 'close');
    this.#child.stdout!.on('data', (chunk) => {
      this.stdout += chunk;
    });
    this.#child.stderr!.on('data', (chunk) => {
      this.stderr += chunk;
    });
    t.teardown(async () => {
      if (isAlive(-this.#group)) process.kill(-this.#group, 'SIGKILL');
      await this.#exited;
    });
  }

  get #group(): number {
    return this.#child.pid!;
  }

  async told(pattern: RegExp): Promise<RegExpExecArray> {
    return until(
      `${pattern}`,
      () => pattern.exec(this.stdout) ?? undefined,
      () => this.stdout + this.stderr,
    );
  }

  /** As a terminal does at Ctrl-C: to every process of the group. */
  interrupt(): void {
    process.kill(-this.#group, 'SIGINT');
  }

  /** Resolves with the exit code, once no process and no file of it is left. */
  async ended(t: Test): Promise<unknown> {
    const [code] = await this.#exited;
    await until('every process of the demo to be gone', () => !isAlive(-this.#group));
    t.same(readdirSync(this.#directory), [], 'no file is left');
    return code;
  }
}

t.test('the demo tells what happened, and all of it was so', async (t) => {
  const demo = new Demo(t);
  const code = await demo.ended(t);
  t.equal(demo.stderr, '');
  t.equal(code, 0);
  for (const line of [
    /^ {3}127\.1\.0\.10 +BR +sao-paulo +same country$/m,
    /^ {3}127\.1\.1\.10 +CL +sao-paulo +same region, sa$/m,
    /^ {3}127\.2\.0\.10 +US +virginia +same country$/m,
    /^ {3}127\.4\.0\.10 +NG +frankfurt +the region next to af, eu$/m,
    /^ {3}127\.9\.0\.10 +- +sao-paulo +the proxy's own region, sa$/m,
    /^ {3}127\.1\.0\.10 BR -> sao-paulo: bound/m,
    /^ {3}127\.3\.0\.10 DE -> sao-paulo: overflow/m,
    /^ {3}127\.1\.0\.10 BR -> virginia: rebound/m,
    /^ {3}20 served, 0 refused$/m,
    /^ {3}\d+ served meanwhile, 0 refused$/m,
    /^ {3}The proxy drains and ends with exit code 0\.$/m,
    /^ {3}npm start /m,
  ]) {
    t.match(demo.stdout, line, String(line));
  }
  t.notMatch(demo.stdout, /[{}]/, 'no JSON');
});

t.test('Ctrl-C in the middle leaves nothing behind', async (t) => {
  const demo = new Demo(t);
  await demo.told(/4\. A hard limit/);
  demo.interrupt();
  t.equal(await demo.ended(t), 130);
  t.equal(demo.stderr, '');
  t.notMatch(demo.stdout, /All of this was checked/);
});

t.test('Ctrl-C while it starts leaves nothing behind', async (t) => {
  const demo = new Demo(t);
  await demo.told(/1\. Start/);
  demo.interrupt();
  t.equal(await demo.ended(t), 130);
});

t.test('a proxy that dies makes the demo fail, and still nothing is left', async (t) => {
  const demo = new Demo(t);
  const [, pid] = await demo.told(/primary: pid (\d+)/);
  process.kill(Number(pid), 'SIGKILL');
  t.equal(await demo.ended(t), 1);
  t.match(demo.stderr, /^The demo failed: .*^ {3}the proxy ended with SIGKILL$/ms);
  t.notMatch(demo.stdout, /All of this was checked/);
});
