import { once } from 'node:events';
import net from 'node:net';
import t, { type Test } from 'tap';
import { InProcessPicker } from '../../src/adapters/inbound/in-process-picker.ts';
import type { InspectorFor } from '../../src/application/inspect-prereads.ts';
import type { DataPlane, DataPlaneEvent } from '../../src/application/ports/data-plane.ts';
import type { PrereadInspector } from '../../src/application/ports/preread-inspector.ts';
import { ServeConnections } from '../../src/application/serve-connections.ts';
import type { ListenerSpec } from '../../src/domain/listener-spec.ts';
import { parseAddress } from '../../src/ip-address.ts';
import { makeEngine } from '../adapters/dataplane/make-engine.ts';
import { bindSocket } from '../fixtures/bind-socket.ts';
import { onEachEngine } from '../fixtures/engines.ts';
import { until } from '../fixtures/until.ts';
import { LISTENERS, Rig } from './rig.ts';
import { accepted, closed, connected, failed, ScriptedDataPlane } from './scripted-data-plane.ts';

const PREREAD = { maxBytes: 64, timeoutMs: 60_000 };
const ASKS: ListenerSpec = { ...LISTENERS[0]!, preread: PREREAD };
const PLAIN = LISTENERS[1]!;

/** A line that says whom the client speaks for, `FOR 200.160.0.8\r\n`, as PROXY protocol has one. */
const readLine: PrereadInspector = (bytes) => {
  const text = Buffer.from(bytes).toString('latin1');
  if (!'FOR '.startsWith(text.slice(0, 4))) return { kind: 'refuse' };
  const end = text.indexOf('\r\n');
  if (end < 0) return { kind: 'more' };
  const word = text.slice(4, end);
  if (word === 'MYSELF') return { kind: 'done', skip: end + 2 };
  const address = parseAddress(word);
  return address === null ? { kind: 'refuse' } : { kind: 'done', skip: end + 2, address };
};

const inspectorFor: InspectorFor = (spec) => (spec.preread === undefined ? null : readLine);

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

async function serving<Engine extends DataPlane>(
  rig: Rig,
  make: (onEvents: (events: readonly DataPlaneEvent[]) => void) => Engine,
  handles: readonly unknown[] = [null, null],
) {
  let engine: Engine | undefined;
  let idle = 0;
  const picker = new InProcessPicker(rig.service, 1, rig.clock);
  const serve = new ServeConnections(
    { picker, clock: rig.clock, connectAttempts: 3, onIdle: () => idle++, inspectorFor },
    (onEvents) => {
      engine = make(onEvents);
      return engine;
    },
  );
  for (const [listener, spec] of [ASKS, PLAIN].entries()) await serve.listen(handles[listener], listener, spec);
  return { serve, engine: engine!, idle: () => idle };
}

const scripted = (rig: Rig) => serving(rig, (onEvents) => new ScriptedDataPlane(onEvents));

const speaks = (conn: number, text: string): DataPlaneEvent =>
  ({ ...accepted(conn), preread: Buffer.from(text) }) as never;
const more = (conn: number, text: string, complete = false): DataPlaneEvent => ({
  type: 'preread',
  ...{ conn, preread: Buffer.from(text), complete },
});

t.test('a look at the first bytes is asked for where the listener asks for it, and there alone', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }, { id: 'g', app: 'game' }]);
  const { engine } = await scripted(rig);
  t.same(
    [...engine.listens],
    [
      [0, PREREAD],
      [1, undefined],
    ],
  );
  engine.emit(accepted(1, '10.0.0.1', 1));
  await settled();
  t.match(engine.wants.get(1), { kind: 'connect', skip: 0 });
});

t.test(
  'whom the client speaks for is who is served, from the pick to the record; the backend gets the rest',
  async (t) => {
    const rig = new Rig();
    await rig.serve([{ id: 'a' }, { id: 'b' }]);
    const { engine, idle } = await scripted(rig);
    engine.emit(speaks(1, 'FOR 200.1'));
    await settled();
    t.same(engine.wantsMore, [1]);
    t.equal(rig.ledger.total, 0, 'nothing is picked before');
    engine.emit(more(1, 'FOR 200.160.0.8\r\nGET'));
    await settled();
    t.match(engine.wants.get(1), { kind: 'connect', skip: 17 });
    engine.emit(failed(1));
    await settled();
    t.match(engine.wants.get(1), { kind: 'connect', skip: 17 }, 'of another backend, too');
    engine.emit(connected(1));
    engine.emit(closed(1));
    t.match(rig.records, [{ client: '200.160.0.8', close: 'finished', attempts: 2 }]);
    t.ok(rig.boundTo('200.160.0.8'), 'its binding is that of the one it speaks for');
    t.equal(rig.boundTo('10.0.0.1'), null);
    t.equal(idle(), 1);
  },
);

t.test('a client that speaks for itself keeps its address', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  const { engine } = await scripted(rig);
  engine.emit(speaks(1, 'FOR MYSELF\r\n'));
  await settled();
  t.match(engine.wants.get(1), { kind: 'connect', skip: 12 });
  engine.emit(connected(1), closed(1));
  t.match(rig.records, [{ client: '10.0.0.1' }]);
});

for (const [what, events] of [
  ['whose first bytes are something else', [speaks(1, 'GET / HTTP/1.1')]],
  ['who speaks for nobody that there is', [speaks(1, 'FOR me\r\n')]],
  ['whose line does not come to its end', [speaks(1, 'FOR 1'), more(1, 'FOR 10.0.0', true)]],
  ['who says nothing in time', [speaks(1, ''), more(1, '', true)]],
] as const) {
  t.test(`a client ${what} is turned away, counted and recorded once`, async (t) => {
    const rig = new Rig();
    await rig.serve([{ id: 'a' }]);
    const { engine, idle } = await scripted(rig);
    for (const event of events) engine.emit(event);
    await settled();
    t.equal(engine.wish(1), 'reject');
    engine.emit(closed(1, 'rejected'));
    t.match(rig.records, [{ client: '10.0.0.1', backend: null, why: 'bad_preread', close: 'refused' }]);
    t.match(rig.metrics.counts, { accepted: 1, 'refused bad_preread': 1 });
    t.equal(rig.ledger.total, 0);
    t.equal(idle(), 1);
  });
}

t.test('a client that leaves before its first bytes suffice, or is cut then, is recorded once', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  const { engine, serve, idle } = await scripted(rig);
  engine.emit(speaks(1, 'FOR'), speaks(2, 'FOR'));
  t.equal(serve.size, 2);
  engine.emit(closed(1, 'client_reset'), closed(2, 'drained'));
  engine.emit(more(1, 'FOR MYSELF\r\n'));
  await settled();
  t.match(rig.records, [{ why: 'bad_preread' }, { why: 'bad_preread' }]);
  t.match(rig.metrics.counts, { accepted: 2, 'refused bad_preread': 2 });
  t.ok(idle() > 0);
});

t.test('a listener that asks for a look which nobody here takes is not served', async (t) => {
  const rig = new Rig();
  let engine: ScriptedDataPlane | undefined;
  const picker = new InProcessPicker(rig.service, 1, rig.clock);
  const serve = new ServeConnections({ picker, clock: rig.clock, connectAttempts: 3, onIdle: () => {} }, (onEvents) => {
    engine = new ScriptedDataPlane(onEvents);
    return engine;
  });
  await t.rejects(serve.listen(null, 0, ASKS), { code: 'EDGE_ERR_INTERNAL', message: /nothing here looks/ });
  t.equal(engine!.listens.size, 0);
  await serve.listen(null, 1, PLAIN);
  t.equal(engine!.listens.size, 1);
});

/** A client of `port`. */
async function client(t: Test, port: number): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1' });
  t.teardown(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

onEachEngine(
  t,
  'a line before the bytes, in pieces, names the client and does not reach the backend',
  async (t, name) => {
    const got: string[] = [];
    const backend = net.createServer((socket) =>
      socket.on('data', (chunk) => got.push(String(chunk))).on('error', () => {}),
    );
    backend.listen(0, '127.0.0.1');
    await once(backend, 'listening');
    t.teardown(() => backend.close());
    const rig = new Rig();
    const { port: to } = backend.address() as net.AddressInfo;
    await rig.serve([{ id: 'a', host: '127.0.0.1', port: to }]);
    const bound = [bindSocket(), bindSocket()];
    const timeouts = { connectTimeoutMs: 60_000, idleTimeoutMs: 0, halfCloseTimeoutMs: 0, unackedTimeoutMs: 0 };
    const { engine, serve } = await serving(
      rig,
      (onEvents) => makeEngine(name, { ...timeouts, maxConnections: 10, onEvents }) as DataPlane,
      bound.map(({ handle }) => handle),
    );
    t.teardown(() => engine.stopAccepting());

    const socket = await client(t, bound[0]!.port);
    socket.write('FOR 200.');
    await until('the client to be told', () => serve.size === 1);
    await settled();
    socket.write('160.0.8\r\nhel');
    await until('the rest', () => got.join('') === 'hel');
    socket.write('lo');
    await until('what comes later', () => got.join('') === 'hello');
    t.ok(rig.boundTo('200.160.0.8'));
    socket.destroy();
    await until('its record', () => rig.records.length === 1);
    t.match(rig.records, [{ client: '200.160.0.8', backend: 'a', bytesToBackend: 5 }]);

    const other = await client(t, bound[0]!.port);
    const ended = once(other, 'close');
    other.resume();
    other.write('GET / HTTP/1.1\r\n');
    await ended;
    await until('its record', () => rig.records.length === 2);
    t.match(rig.records[1], { client: '127.0.0.1', backend: null, why: 'bad_preread' });
    t.equal(got.join(''), 'hello');
  },
);
