import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import t from 'tap';
import { ClientAddress } from '../../src/domain/client-address.ts';

t.test('the text of an address is the one that others write', async (t) => {
  // Zeros at every place and of every length, beside groups of every number of digits.
  const group = fc.oneof(fc.constant(0), fc.constant(0), fc.nat(0xf), fc.nat(0xffff));
  const ipv6 = fc.array(group, { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(ipv6, (groups) => {
      const bytes = groups.flatMap((each) => [each >> 8, each & 255]);
      return ClientAddress.of(bytes).text === ipaddr.fromByteArray(bytes).toString();
    }),
    { numRuns: 5000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
      return ClientAddress.of(bytes).text === [...bytes].join('.');
    }),
  );
  for (const text of [
    '::',
    '::1',
    '1::',
    '2001:db8::1:0:0:1',
    '2001:0:0:1::1',
    'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  ])
    t.equal(ClientAddress.of(ipaddr.parse(text).toByteArray()).text, text);
  t.equal(new ClientAddress(4, 0xffffffff).text, '255.255.255.255');
});

t.test('bytes are given back as they were taken', async (t) => {
  for (const length of [4, 16]) {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: length, maxLength: length }), (bytes) => {
        const address = ClientAddress.of(bytes);
        return address.bytes.join() === bytes.join() && address.family === (length === 4 ? 4 : 6);
      }),
    );
  }
  t.pass('both families');
});
