import t from 'tap';
import { ownEndpoints, ownEndpointTest } from '../../../../src/adapters/outbound/sqlite/own-endpoints.ts';

const INTERFACES = {
  lo: [{ address: '127.0.0.1' }, { address: '::1' }],
  eth0: [{ address: '192.0.2.7' }, { address: '2001:db8::7' }, { address: 'fe80::1%eth0' }],
  down: undefined,
};
const isOwn = (host: string, port = 8080) => ownEndpointTest(ownEndpoints([{ host, port }], INTERFACES));

t.test('an address of its own is just that', async (t) => {
  t.ok(isOwn('192.0.2.7')('192.0.2.7', 8080));
  t.notOk(isOwn('192.0.2.7')('192.0.2.7', 8081), 'another port');
  t.notOk(isOwn('192.0.2.7')('127.0.0.1', 8080), 'another address');
  t.ok(isOwn('::FFFF:192.0.2.7')('192.0.2.7', 8080), 'normalised');
});

t.test('0.0.0.0 is every IPv4 address of the host, and all of 127.0.0.0/8', async (t) => {
  for (const host of ['192.0.2.7', '127.0.0.1', '127.255.0.9']) t.ok(isOwn('0.0.0.0')(host, 8080), host);
  for (const host of ['192.0.2.8', '12.7.0.0', '::1', '2001:db8::7']) t.notOk(isOwn('0.0.0.0')(host, 8080), host);
});

t.test(':: is every address of the host', async (t) => {
  for (const host of ['192.0.2.7', '127.0.0.2', '::1', '2001:db8::7', 'fe80::1']) t.ok(isOwn('::')(host, 8080), host);
  t.notOk(isOwn('::')('2001:db8::8', 8080));
});

t.test(':: leaves IPv4 to a listener that has it at the same port', async (t) => {
  const listeners = [
    { host: '::', port: 80 },
    { host: '127.0.0.1', port: 80 },
    { host: '0.0.0.0', port: 81 },
  ];
  const own = ownEndpointTest(ownEndpoints(listeners, INTERFACES));
  for (const host of ['::1', '2001:db8::7', '127.0.0.1']) t.ok(own(host, 80), host);
  t.notOk(own('192.0.2.7', 80), 'another process may have it');
});

t.test('several listeners', async (t) => {
  const own = ownEndpointTest(
    ownEndpoints(
      [
        { host: '192.0.2.7', port: 80 },
        { host: '127.0.0.1', port: 80 },
        { host: 'no address', port: 1 },
      ],
      INTERFACES,
    ),
  );
  t.ok(own('192.0.2.7', 80));
  t.ok(own('127.0.0.1', 80));
  t.notOk(own('127.0.0.2', 80));
});
