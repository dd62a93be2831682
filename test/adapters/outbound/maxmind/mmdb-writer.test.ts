import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { Reader, type Response } from 'maxmind';
import t from 'tap';
import { encodeMmdb, type MmdbOptions, type MmdbValue } from '../../../fixtures/mmdb.ts';

const read = (networks: Readonly<Record<string, MmdbValue>>, options?: MmdbOptions) =>
  new Reader<Response>(
    encodeMmdb(
      Object.entries(networks).map(([network, record]) => ({ network, record })),
      options,
    ),
  );

t.test('every kind of value comes back', async (t) => {
  const record = {
    text: 'é',
    empty: '',
    long: 'x'.repeat(28),
    longer: 'x'.repeat(29),
    longest: 'x'.repeat(300),
    integers: [0, 1, 0xffffffff],
    doubles: [0.5, -1],
    yes: true,
    no: false,
    map: { in: { a: 'map' } },
    list: [],
  };
  t.strictSame(read({ '10.0.0.0/8': record }).get('10.1.2.3'), record);
});

t.test('metadata comes back', async (t) => {
  const { metadata } = read({ '10.0.0.0/8': 'x' }, { databaseType: 'My-Country', buildEpoch: 1_700_000_000 });
  t.equal(metadata.databaseType, 'My-Country');
  t.equal(metadata.ipVersion, 6);
  t.equal(metadata.recordSize, 24);
  t.equal(metadata.binaryFormatMajorVersion, 2);
  t.equal(metadata.nodeCount, 96 + 8);
  t.equal(metadata.buildEpoch.getTime(), 1_700_000_000_000);
});

t.test('a longer prefix wins, whatever the order of the rows', async (t) => {
  const networks = { '10.1.1.0/24': 'c', '0.0.0.0/0': 'a', '10.1.0.0/16': 'b', '10.1.1.1/32': 'd' };
  for (const rows of [Object.entries(networks), Object.entries(networks).reverse()]) {
    const reader = read(Object.fromEntries(rows));
    t.same(
      ['9.9.9.9', '10.1.2.0', '10.1.1.0', '10.1.1.1'].map((text) => reader.get(text)),
      ['a', 'b', 'c', 'd'],
    );
    t.equal(reader.get('2001:db8::'), null);
  }
});

t.test('a tree of IPv4 only', async (t) => {
  const reader = read({ '10.0.0.0/8': 'a', '0.0.0.0/0': 'b' }, { ipVersion: 4 });
  t.equal(reader.metadata.nodeCount, 8);
  t.equal(reader.get('10.0.0.1'), 'a');
  t.equal(reader.get('11.0.0.1'), 'b');
  t.throws(() => read({ '2001:db8::/32': 'a' }, { ipVersion: 4 }));
});

t.test('each address is found in the network that has it', async (t) => {
  const v4 = fc.tuple(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.integer({ min: 0, max: 32 }));
  // Outside of ::/96, where the tree has IPv4.
  const v6 = fc.tuple(
    fc.uint8Array({ minLength: 15, maxLength: 15 }).map((bytes) => Uint8Array.of(0x20, ...bytes)),
    fc.integer({ min: 8, max: 128 }),
  );
  const text = (bytes: Uint8Array) => ipaddr.fromByteArray([...bytes]).toString();
  fc.assert(
    fc.property(fc.array(fc.oneof(v4, v6), { minLength: 1, maxLength: 20 }), (networks) => {
      const table = Object.fromEntries(networks.map(([bytes, length], i) => [`${text(bytes)}/${length}`, i]));
      const reader = read(table);
      for (const [bytes] of networks) {
        const address = ipaddr.fromByteArray([...bytes]);
        const best = Object.keys(table)
          .map((network) => ({ network, cidr: ipaddr.parseCIDR(network) }))
          .filter(({ cidr }) => cidr[0].kind() === address.kind() && address.match(cidr))
          .sort((a, b) => b.cidr[1] - a.cidr[1]);
        // Networks that are written differently and mean the same: either may have won.
        const winners = best.filter(({ cidr }) => cidr[1] === best[0]!.cidr[1]).map(({ network }) => table[network]);
        if (!winners.includes(reader.get(address.toString()) as unknown as number)) return false;
      }
      return true;
    }),
  );
  t.pass();
});
