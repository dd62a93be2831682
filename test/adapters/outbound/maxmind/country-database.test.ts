import fc from 'fast-check';
import t from 'tap';
import { CountryDatabase } from '../../../../src/adapters/outbound/maxmind/country-database.ts';
import { encodeMmdb } from '../../../fixtures/mmdb.ts';

const rows = [
  { network: '127.1.0.0/16', record: { country_code: 'BR' } },
  { network: '2001:db8::/32', record: { country_code: 'JP' } },
];
const DESCRIPTION = 'Test-Country';
const good = encodeMmdb(rows, { databaseType: DESCRIPTION });

t.test('a good database is served', async (t) => {
  const database = new CountryDatabase(good);
  t.equal(database.country({ text: '127.1.2.3' }), 'BR');
  t.equal(database.country({ text: '2001:db8::1' }), 'JP');
});

t.test('a database of IPv4 knows nothing of IPv6', async (t) => {
  const database = new CountryDatabase(
    encodeMmdb([{ network: '32.0.0.0/3', record: { country_code: 'US' } }], { ipVersion: 4 }),
  );
  t.equal(database.country({ text: '32.1.13.184' }), 'US');
  t.equal(database.country({ text: '2001:db8::1' }), null, 'though its first 32 bits are those of 32.1.13.184');
});

t.test('what is no sane country database is refused with the reason', async (t) => {
  const metadataAt = good.lastIndexOf('MaxMind.com') - 3;
  const moved = Buffer.concat([good.subarray(0, 6), good]);
  const cases: [string, Buffer, RegExp][] = [
    ['empty', Buffer.alloc(0), /no MaxMind database/],
    ['garbage', Buffer.from('hello '.repeat(100_000)), /no MaxMind database/],
    ['truncated', good.subarray(0, -good.length / 2), /truncated/],
    ['metadata followed by more than it may be', Buffer.concat([good, Buffer.alloc(200_000)]), /no MaxMind database/],
    ['metadata only', good.subarray(metadataAt), /damaged/],
    ['with a node too many', moved, /damaged/],
    ['another format version', encodeMmdb(rows, { formatVersion: 3 }), /format version 3/],
    ['no networks', encodeMmdb([]), /no countries/],
    ['networks of autonomous systems', encodeMmdb([{ network: '8.8.8.0/24', record: { asn: 15169 } }]), /no countries/],
  ];
  for (const [what, bytes, message] of cases) t.throws(() => new CountryDatabase(bytes), { message }, what);
});

t.test('a cut database is refused, unless the cut took only letters of its description', async (t) => {
  const accepted: number[] = [];
  for (let length = 0; length < good.length; length++) {
    try {
      new CountryDatabase(good.subarray(0, length));
      accepted.push(length);
    } catch {}
  }
  t.ok(accepted.length > 0 && accepted[0]! >= good.length - DESCRIPTION.length, `accepted at ${accepted}`);
});

t.test('damage anywhere is an error or an answer, never a hang', async (t) => {
  const answer = (bytes: Buffer) => {
    try {
      return new CountryDatabase(bytes).country({ text: '127.1.2.3' });
    } catch (error) {
      return error instanceof Error ? null : 'not an error';
    }
  };
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
      const bytes = Buffer.from(good);
      bytes[at] = byte;
      const country = answer(bytes);
      return country === null || /^[A-Z]{2}$/.test(country);
    }),
    { numRuns: 2000 },
  );
  t.pass();
});
