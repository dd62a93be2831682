import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { SKIPPED } from '../../../fixtures/engines.ts';
import { findSanitizers } from './sanitizers.ts';

/**
 * `npm run test:native-sanitize`: builds the native engine with AddressSanitizer and UndefinedBehaviorSanitizer, and runs
 * over it the port's conformance suite, the tests of its lifetime and without descriptors, and 100,000 connections. Needs
 * gcc or clang with its sanitizers (Debian: build-essential). Not one of `npm test`, whose tests run beside each other: two
 * builds in one folder would not.
 */
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const RUNS = [
  'test/conformance/data-plane-epoll.test.ts',
  'test/adapters/dataplane/epoll/lifetime.test.ts',
  'test/conformance/byte-link.test.ts',
  'test/adapters/dataplane/few-descriptors.test.ts',
  'test/adapters/dataplane/many-connections.test.ts',
];

/** A bound for a hang of one of them, and for what tap gives a file that is run by itself. */
const TIMEOUT_SECONDS = 300;

const { libraries, missing } = findSanitizers();
if (SKIPPED.epoll !== false) t.plan(0, SKIPPED.epoll);
else if (libraries === null) t.plan(0, `no sanitizers here: ${missing}`);
else await sanitize(libraries);

async function sanitize(libraries: readonly string[]): Promise<void> {
  t.setTimeout(RUNS.length * TIMEOUT_SECONDS * 1000);
  const build = spawnSync(process.execPath, ['src/adapters/dataplane/epoll/build.mjs', '--sanitize'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (!t.equal(build.status, 0, 'the engine is built with sanitizers')) {
    t.comment(build.stdout, build.stderr);
    return;
  }
  const logs = mkdtempSync(join(tmpdir(), 'edgeproxy-sanitize-'));
  t.teardown(() => rmSync(logs, { recursive: true, force: true }));
  const env = {
    ...process.env,
    LD_PRELOAD: libraries.join(':'),
    EDGEPROXY_TEST_ADDON: 'Debug',
    TAP_TIMEOUT: String(TIMEOUT_SECONDS),
    // Node leaks a little by design: leaks fail below, and only ours.
    ASAN_OPTIONS: `log_path=${join(logs, 'log')}:detect_leaks=1:quarantine_size_mb=16`,
    LSAN_OPTIONS: 'exitcode=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  };
  for (const run of RUNS) {
    await t.spawn(process.execPath, [run], { cwd: ROOT, env, timeout: TIMEOUT_SECONDS * 1000 }, run);
    t.same(reportsOfOurs(logs), [], `${run}: the sanitizers have nothing to tell of`);
  }
}

/** What the sanitizers wrote, without leaks that are none of the engine's. */
function reportsOfOurs(logs: string): string[] {
  const texts = readdirSync(logs).map((name) => readFileSync(join(logs, name), 'utf8'));
  for (const name of readdirSync(logs)) rmSync(join(logs, name));
  return texts.filter((text) => !text.includes('LeakSanitizer') || /epoll\/native\/|edgeproxy_epoll/.test(text));
}
