import fc from 'fast-check';
import t from 'tap';
import { formatEndpoint, parseAddress } from '../src/ip-address.ts';

t.test('addresses are normalised', async (t) => {
  for (const [text, normal, bytes] of [
    ['10.0.0.1', '10.0.0.1', 4],
    ['255.255.255.255', '255.255.255.255', 4],
    ['::ffff:10.0.0.1', '10.0.0.1', 4],
    ['::FFFF:0a00:0001', '10.0.0.1', 4],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1', 16],
    ['::1', '::1', 16],
    ['fe80::1%eth0', 'fe80::1', 16],
  ] as const) {
    const address = parseAddress(text);
    t.equal(address?.text, normal, text);
    t.equal(address?.bytes.length, bytes);
  }
});

t.test('what is no address is none', async (t) => {
  for (const text of [
    '',
    ' ',
    'localhost',
    'example.com',
    '10.0.0',
    '10.0.0.256',
    '010.0.0.1',
    '0x7f.0.0.1',
    '2130706433',
    '10.0.0.1 ',
    '10.0.0.1/8',
    '10.0.0.1%eth0',
    '1::2::3',
    '12345::',
    '[::1]',
    '%eth0',
  ])
    t.equal(parseAddress(text), null, JSON.stringify(text));
});

t.test('the normal form of any address is its own normal form, and of the same bytes', async (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const once = parseAddress(text)!;
      const twice = parseAddress(once.text)!;
      return once.text === twice.text && [...(once.bytes as number[])].join() === [...(twice.bytes as number[])].join();
    }),
    { numRuns: 500 },
  );
  t.pass('stable');
});

t.test('endpoints are written as everyone writes them', async (t) => {
  t.equal(formatEndpoint('10.0.0.1', 80), '10.0.0.1:80');
  t.equal(formatEndpoint('::1', 80), '[::1]:80');
});
