import { spawn } from 'node:child_process';
import { on } from 'node:events';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { loadAddon } from '../../../../src/adapters/dataplane/epoll/load-addon.ts';
import type { DataPlaneEvent } from '../../../../src/application/ports/data-plane.ts';
import { client } from '../../../conformance/data-plane-rig.ts';

/** What node needs to start, and some more. */
const DESCRIPTORS = 64;

const PROCESS = fileURLToPath(new URL('./few-descriptors-process.ts', import.meta.url));

type Told = DataPlaneEvent | { readonly type: 'port'; readonly port: number };

const { reason } = loadAddon();

t.test('without descriptors clients are refused and told, until one leaves', { skip: reason ?? false }, async (t) => {
  // Guards: libuv accepts and closes such clients without a word, and an engine may spin or stop accepting.
  const child = spawn('sh', ['-c', `ulimit -n ${DESCRIPTORS}; exec "$0" "$1"`, process.execPath, PROCESS], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const messages = on(child, 'message');
  const next = async (): Promise<Told> => {
    const { value } = (await messages.next()) as { value: [Told] };
    return value[0];
  };
  const first = await next();
  if (first.type !== 'port') throw new Error('no port was told');
  const { port } = first;

  const held: number[] = [];
  for (let event: Told = first; event.type !== 'refused'; event = await next()) {
    if (event.type === 'accepted') held.push(event.conn);
    if (held.length > DESCRIPTORS) throw new Error('nobody was refused');
    await client(t, port);
  }
  t.ok(held.length > 0, `${held.length} clients were held`);
  for (let i = 0; i < 3; i++) {
    const refused = await client(t, port);
    t.match(await next(), { type: 'refused', listener: 3, address: '127.0.0.1' });
    await refused.read().ended;
  }

  child.send(held[0] ?? 0);
  t.match(await next(), { type: 'closed', conn: held[0], reason: 'drained' });
  await client(t, port);
  t.match(await next(), { type: 'accepted', listener: 3 });
});
