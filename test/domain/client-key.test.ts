import t from 'tap';
import { clientKey, hashClientKey } from '../../src/domain/client-key.ts';
import { parseAddress } from '../../src/ip-address.ts';

const keyOf = (address: string, app = '') => clientKey(app, parseAddress(address)!);

t.test('IPv4 clients are told apart by their whole address', async (t) => {
  t.same(keyOf('255.1.2.3'), { app: '', family: 4, high: 0xff010203, low: 0 });
  t.notSame(keyOf('10.0.0.1'), keyOf('10.0.0.2'));
  t.same(keyOf('::ffff:10.0.0.1'), keyOf('10.0.0.1'), 'however the address is written');
});

t.test('IPv6 clients are told apart by their /64', async (t) => {
  t.same(keyOf('2001:db8:ffff:fffe:1:2:3:4'), { app: '', family: 6, high: 0x20010db8, low: 0xfffffffe });
  t.same(keyOf('2001:db8:1:2::1'), keyOf('2001:db8:1:2:ffff:ffff:ffff:ffff'));
  t.notSame(keyOf('2001:db8:1:2::1'), keyOf('2001:db8:1:3::1'));
});

t.test('app and family are part of the key and of its hash', async (t) => {
  const keys = [
    keyOf('10.0.0.1'),
    keyOf('10.0.0.1', 'a'),
    keyOf('10.0.0.1', 'b'),
    keyOf('10.0.0.2'),
    keyOf('a00:1::'), // the bits of 10.0.0.1 and 0, as IPv6
  ];
  t.equal(keys[4]!.high, keys[0]!.high, 'the same high word in another family');
  t.equal(new Set(keys.map((key) => JSON.stringify(key))).size, keys.length);
  t.equal(new Set(keys.map(hashClientKey)).size, keys.length);
});
