import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { type Engine, onEachEngine } from '../../fixtures/engines.ts';
import type { SelfDials } from './self-dial-process.ts';

// A dead backend on the proxy's own host, at a port of the ephemeral range: sooner or later a dial gets that port for its
// own, and TCP connects it with itself. In a network namespace where the kernel has four ports to give it is sooner.

const PORT = 40_000;
const PROGRAM = fileURLToPath(new URL('./self-dial-process.ts', import.meta.url));
const SETUP = `ip link set lo up && echo '${PORT} ${PORT + 3}' > /proc/sys/net/ipv4/ip_local_port_range`;

/** Where this user may have namespaces. */
const inside = (script: string, ...args: string[]) =>
  spawnSync('unshare', ['--user', '--map-root-user', '--net', 'sh', '-c', script, 'sh', ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  });

const possible = process.platform === 'linux' && inside(SETUP).status === 0;
const skip = !possible && 'needs network namespaces: unshare and ip, and a user who may have them';

onEachEngine(t, 'a dial that would reach itself is refused', (t, engine) => dials(t, engine, '127.0.0.1'), skip);
onEachEngine(t, 'a dial that would reach itself is refused, over IPv6', (t, engine) => dials(t, engine, '::1'), skip);

async function dials(t: Test, engine: Engine, host: string): Promise<void> {
  const script = `${SETUP} && exec "$@"`;
  const { stdout, stderr } = inside(script, process.execPath, PROGRAM, engine, host, String(PORT));
  if (!t.match(stdout, /^{/, stderr)) return;
  const { metItself, outcomes, free } = JSON.parse(stdout) as SelfDials;
  t.ok(metItself > 0, `it happens here: ${metItself} of a program that does not look`);
  t.same(Object.keys(outcomes), ['ECONNREFUSED']);
  t.ok(free, 'and a backend can have the port at once');
}
