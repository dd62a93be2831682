import t from 'tap';
import { EpollDataPlane } from '../../../../src/adapters/dataplane/epoll/epoll-data-plane.ts';
import { loadAddon } from '../../../../src/adapters/dataplane/epoll/load-addon.ts';
import { backend, client, type Pair, pair, Rig } from '../../../conformance/data-plane-rig.ts';
import { BUILD, SKIPPED } from '../../../fixtures/engines.ts';
import { tcpTable } from '../../../fixtures/tcp-table.ts';

/** Whoever writes so much has filled the kernel's buffers, some MiB. */
const FLOOD = Buffer.alloc(4 * 1024 * 1024, 'flood');
const FLOWS = 32;
/** Less than the kernel takes at once. */
const ONCE_BULK = Buffer.alloc(100_000, 'once');
/** A first small read of each flow, and some turns in which one of them gets a large one. */
const MOVED_AT_MOST = 6 * 1024 * 1024;

t.test('a new client is told of before bulk is moved that came first', { skip: SKIPPED.epoll }, async (t) => {
  const { addon } = loadAddon(BUILD);
  let port = 0;
  let moved = Number.POSITIVE_INFINITY;
  let watching = false;
  const rig = await Rig.start(
    t,
    (options) => new EpollDataPlane(options, addon!),
    {},
    ({ type }) => {
      if (!watching || type !== 'accepted') return;
      watching = false;
      moved = passedOn(port);
    },
  );
  port = await rig.listen();
  const to = await backend(t);
  const pairs: Pair[] = [];
  for (let i = 0; i < FLOWS; i++) pairs.push(await pair(t, rig, port, to));
  // All of it within one turn: the engine finds it together.
  watching = true;
  for (const { backend } of pairs) backend.socket.write(FLOOD);
  const late = client(t, port);
  await rig.next('accepted');
  await late;
  t.ok(moved < MOVED_AT_MOST, `${moved} bytes were moved before`);
  for (const each of pairs) each.client.read();
  for (const each of pairs) t.ok((await each.client.received(FLOOD.length)).equals(FLOOD), 'nothing is lost');
});

t.test(
  'an end is known at once beside bulk, also of a connection that was bulk itself',
  { skip: SKIPPED.epoll },
  async (t) => {
    const { addon } = loadAddon(BUILD);
    const rig = await Rig.start(t, (options) => new EpollDataPlane(options, addon!));
    const port = await rig.listen();
    const to = await backend(t);
    const pairs: Pair[] = [];
    for (let i = 0; i < FLOWS; i++) pairs.push(await pair(t, rig, port, to));
    const ending = await pair(t, rig, port, to);
    ending.client.read().socket.write(ONCE_BULK);
    await ending.backend.read().received(ONCE_BULK.length);
    ending.backend.socket.end();
    await ending.client.ended;
    for (const { backend } of pairs) backend.socket.write(FLOOD);
    await new Promise<void>((resolve) => ending.client.socket.end(resolve));
    rig.settle();
    await rig.next('settled');
    t.ok(
      rig.events.some((event) => event.type === 'closed' && event.conn === ending.conn),
      'closed came before settled',
    );
    t.equal((await rig.closed(ending.conn)).bytesToBackend, ONCE_BULK.length);
  },
);

/** Bytes that the engine gave to its clients' sockets and that nobody has read. */
function passedOn(port: number): number {
  return tcpTable().reduce((sum, { localPort, remotePort, unread, unacknowledged }) => {
    if (localPort === port) return sum + unacknowledged;
    return remotePort === port ? sum + unread : sum;
  }, 0);
}
