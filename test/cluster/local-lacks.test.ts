import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { onEachEngine } from '../fixtures/engines.ts';
import type { LogRecord } from '../fixtures/proxy.ts';

const PROCESS = fileURLToPath(new URL('./local-lacks-process.ts', import.meta.url));

/** A network of its own, with loopback only, and a handful of local ports. */
const SET_UP = 'ip link set lo up && echo "40000 40015" > /proc/sys/net/ipv4/ip_local_port_range';
const UNSHARE = ['--net', '--map-root-user', 'sh', '-c'];
const possible = spawnSync('unshare', [...UNSHARE, SET_UP]).status === 0;
const skip = !possible && 'no network namespace may be made here (unshare, ip)';

interface Seen {
  readonly served: number;
  readonly alone: LogRecord;
  readonly spare: string | null;
  readonly pair: LogRecord;
  readonly away: string | null;
  readonly noRoute: LogRecord;
  readonly warnings: readonly LogRecord[];
  readonly ready: { readonly reasons: readonly string[] };
  readonly metrics: readonly string[];
}

onEachEngine(
  t,
  'what this host lacks is told as such, held against no backend, and moves no binding',
  async (t, engine) => {
    const command = `${SET_UP} && exec "$0" "$@"`;
    const run = promisify(execFile);
    const { stdout } = await run('unshare', [...UNSHARE, command, process.execPath, PROCESS, engine]);
    const seen = JSON.parse(stdout) as Seen;

    t.ok(seen.served > 0 && seen.served <= 16, `${seen.served} local ports`);
    const dial = { backend: 'crowded', code: 'EADDRNOTAVAIL' };
    t.match(seen.alone, { why: 'local_resources', close: 'refused', tried: [dial, dial] }, 'dialled again, in vain');
    t.equal(seen.spare, 'spare', 'a client that another backend can serve is served');
    t.match(seen.pair, {
      why: 'retried',
      backend: 'spare',
      tried: [{ code: 'EADDRNOTAVAIL' }, { code: 'EADDRNOTAVAIL' }],
    });
    t.equal(seen.away, null);
    t.match(seen.noRoute, { why: 'no_route', tried: [{ backend: 'far', code: 'ENETUNREACH' }] });
    t.same(
      seen.metrics,
      ['edgeproxy_local_errors_total{code="EADDRNOTAVAIL"} 4', 'edgeproxy_local_errors_total{code="ENETUNREACH"} 1'],
      'no backend has an error',
    );
    t.match(
      seen.warnings,
      [
        { code: 'EADDRNOTAVAIL', advice: /net.ipv4.ip_local_port_range/ },
        { code: 'ENETUNREACH', advice: /ip route get/ },
      ],
      'each is told once',
    );
    t.equal(seen.warnings.length, 2);
    const reasons = seen.ready.reasons.join('\n');
    t.match(reasons, /this host cannot dial \(EADDRNOTAVAIL, 4 times, .*ip_local_port_range/);
    t.match(reasons, /this host cannot dial \(ENETUNREACH, 1 times/);
  },
  skip,
);
