import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * `npm run test:native-sanitize`: builds the native engine with AddressSanitizer and UndefinedBehaviorSanitizer, and runs
 * over it the port's conformance suite, the tests of its lifetime, and 100,000 connections. Needs gcc or clang with its
 * sanitizers (Debian: build-essential).
 */
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const RUNS = [
  'test/conformance/data-plane-epoll.test.ts',
  'test/adapters/dataplane/epoll/lifetime.test.ts',
  'test/adapters/dataplane/epoll/many-connections.ts',
];

execFileSync(process.execPath, ['src/adapters/dataplane/epoll/build.mjs', '--sanitize'], {
  cwd: ROOT,
  stdio: 'inherit',
});
const compiler = process.env.CC ?? 'cc';
const libraries = ['libasan.so', 'libubsan.so'].map((name) =>
  execFileSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' }).trim(),
);
const logs = mkdtempSync(join(tmpdir(), 'edgeproxy-sanitize-'));
let failures = 0;
try {
  for (const run of RUNS) {
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, [run], {
      cwd: ROOT,
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      env: {
        ...process.env,
        LD_PRELOAD: libraries.join(':'),
        EDGEPROXY_TEST_ADDON: 'Debug',
        // tap's bound for a file that is run by itself, in seconds.
        TAP_TIMEOUT: '300',
        // Node leaks a little by design: leaks fail below, and only ours.
        ASAN_OPTIONS: `log_path=${join(logs, 'log')}:detect_leaks=1:quarantine_size_mb=16`,
        LSAN_OPTIONS: 'exitcode=0',
        UBSAN_OPTIONS: 'print_stacktrace=1',
      },
    });
    const reports = reportsOfOurs();
    const ok = status === 0 && reports.length === 0;
    console.log(`${ok ? 'ok' : 'not ok'} - ${run}${ok ? '' : ` (status ${status}, signal ${signal})`}`);
    if (run.endsWith('many-connections.ts')) process.stdout.write(stdout);
    if (ok) continue;
    failures++;
    process.stdout.write([stdout.slice(-5000), stderr.slice(-5000), ...reports].join('\n'));
  }
} finally {
  rmSync(logs, { recursive: true, force: true });
}
process.exitCode = failures === 0 ? 0 : 1;

/** What the sanitizers wrote, without leaks that are none of the engine's. */
function reportsOfOurs(): string[] {
  const texts = readdirSync(logs).map((name) => readFileSync(join(logs, name), 'utf8'));
  for (const name of readdirSync(logs)) rmSync(join(logs, name));
  return texts.filter((text) => !text.includes('LeakSanitizer') || /epoll\/native\/|edgeproxy_epoll/.test(text));
}
