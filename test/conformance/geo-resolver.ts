import fc from 'fast-check';
import type { Test } from 'tap';
import type { GeoResolver } from '../../src/application/ports/geo-resolver.ts';
import { parseAddress } from '../../src/ip-address.ts';

/** Makes a resolver that knows these networks, as `{'127.1.0.0/16': 'BR'}`. */
export type MakeGeo = (t: Test, table: Readonly<Record<string, string>>) => Promise<GeoResolver>;

const TABLE = {
  '127.1.0.0/16': 'BR',
  '127.1.2.0/24': 'AR',
  '127.2.0.0/16': 'de',
  '127.3.0.0/16': '',
  '127.4.0.0/16': 'unknown',
  '127.5.0.0/16': '--',
  '127.6.0.0/16': 'É1',
  '2001:db8::/32': 'JP',
  '2001:db8:1::/48': 'ZA',
};

/** What GeoResolver promises, for any implementation of it. */
export function geoResolverSuite(t: Test, make: MakeGeo): void {
  const ask = (geo: GeoResolver, text: string) => geo.country(parseAddress(text)!);

  t.test('an address is in the country of its longest prefix', async (t) => {
    const geo = await make(t, TABLE);
    t.equal(ask(geo, '127.1.0.0'), 'BR');
    t.equal(ask(geo, '127.1.1.255'), 'BR');
    t.equal(ask(geo, '127.1.2.0'), 'AR');
    t.equal(ask(geo, '127.1.2.255'), 'AR');
    t.equal(ask(geo, '127.1.3.0'), 'BR');
    t.equal(ask(geo, '127.1.255.255'), 'BR');
    t.equal(ask(geo, '2001:db8::1'), 'JP');
    t.equal(ask(geo, '2001:db8:1:ffff::'), 'ZA');
  });

  t.test('IPv4-mapped IPv6 is the IPv4 address that it maps', async (t) => {
    const geo = await make(t, TABLE);
    t.equal(ask(geo, '::ffff:127.1.0.1'), 'BR');
  });

  t.test('a code is in upper case, whatever the database has', async (t) => {
    const geo = await make(t, TABLE);
    t.equal(ask(geo, '127.2.0.1'), 'DE');
  });

  t.test('an address in no network, or in one of no country, is nowhere', async (t) => {
    const geo = await make(t, TABLE);
    const nowhere = [
      '126.255.255.255',
      '127.0.255.255',
      '127.3.0.1',
      '127.4.0.1',
      '127.5.0.1',
      '127.6.0.1',
      '128.0.0.0',
    ];
    for (const text of [...nowhere, '0.0.0.0', '255.255.255.255', '::', '::1', '2001:db7::1', 'ffff::']) {
      t.equal(ask(geo, text), null, text);
    }
  });

  t.test('every address has an answer', async (t) => {
    const geo = await make(t, TABLE);
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => bytes.join('.')),
      fc.ipV6(),
    );
    const expected = new Set<string | null>([null, 'BR', 'AR', 'DE', 'JP', 'ZA']);
    fc.assert(fc.property(bytes, (text) => expected.has(ask(geo, text))));
    t.pass();
  });
}
