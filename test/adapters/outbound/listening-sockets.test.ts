import { once } from 'node:events';
import net from 'node:net';
import t from 'tap';
import { bindListeners } from '../../../src/adapters/outbound/listening-sockets.ts';
import type { Listener } from '../../../src/domain/entities.ts';

const listener = (port: number, host = '127.0.0.1', app = ''): Listener => ({
  name: `${host}:${port}`,
  host,
  port,
  app,
});

t.test('each listener is bound, and says its actual port', async (t) => {
  const bound = bindListeners([listener(0), listener(0, '127.0.0.1', 'game')]);
  t.teardown(() => bound.forEach(({ handle }) => void handle.close()));
  const [one, two] = bound.map(({ listener }) => listener);
  t.ok(one!.port > 0 && two!.port > 0 && one!.port !== two!.port);
  t.same(two, { name: `127.0.0.1:${two!.port}`, host: '127.0.0.1', port: two!.port, app: 'game' });
});

t.test('a bound socket does not accept until somebody listens on it', async (t) => {
  const [bound] = bindListeners([listener(0)]);
  const { port } = bound!.listener;
  const refused = net.connect({ port, host: '127.0.0.1' });
  t.match((await once(refused, 'error'))[0], { code: 'ECONNREFUSED' });
  const server = net.createServer().listen(bound!.handle as never);
  t.teardown(() => server.close());
  await once(server, 'listening');
  const client = net.connect({ port, host: '127.0.0.1' });
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  accepted.destroy();
  client.destroy();
});

t.test('an IPv6 address is bound as such', async (t) => {
  const [bound] = bindListeners([listener(0, '::1')]);
  t.teardown(() => bound!.handle.close());
  t.equal(bound!.listener.name, `[::1]:${bound!.listener.port}`);
});

t.test('an address in use is refused with advice, and those bound before it are let go', async (t) => {
  const server = net.createServer().listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const [free] = bindListeners([listener(0)]);
  const freePort = free!.listener.port;
  free!.handle.close();
  t.throws(() => bindListeners([listener(freePort), listener(port)]), {
    code: 'EDGE_ERR_LISTEN',
    message: new RegExp(`127\\.0\\.0\\.1:${port}: EADDRINUSE: another process`),
  });
  const again = bindListeners([listener(freePort)]);
  t.equal(again[0]!.listener.port, freePort);
  again[0]!.handle.close();
});

t.test('an address that is not ours is refused', async (t) => {
  t.throws(() => bindListeners([listener(0, '192.0.2.1')]), { code: 'EDGE_ERR_LISTEN', message: /EADDRNOTAVAIL/ });
});
