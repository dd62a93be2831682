import { join } from 'node:path';
import t, { type Test } from 'tap';
import { MaxmindGeoResolver } from '../../src/adapters/outbound/maxmind/maxmind-geo-resolver.ts';
import { type MmdbValue, writeMmdb } from '../fixtures/mmdb.ts';
import { tableGeo } from '../fixtures/table-geo.ts';
import { geoResolverSuite } from './geo-resolver.ts';

const maxmind =
  (record: (country: string) => MmdbValue) => async (t: Test, table: Readonly<Record<string, string>>) => {
    const path = join(t.testdir(), 'geo.mmdb');
    const rows = Object.entries(table).map(([network, country]) => ({ network, record: record(country) }));
    writeMmdb(path, rows);
    return MaxmindGeoResolver.open(path, (message) => t.fail(message));
  };

t.test('maxmind, records {country_code}', async (t) =>
  geoResolverSuite(
    t,
    maxmind((country) => ({ country_code: country })),
  ),
);

t.test('maxmind, records {country: {iso_code}}', async (t) =>
  geoResolverSuite(
    t,
    maxmind((country) => ({
      continent: { code: 'XX' },
      country: { geoname_id: 1, iso_code: country, names: { en: 'Some country' } },
    })),
  ),
);

t.test('maxmind, records {registered_country: {iso_code}}', async (t) =>
  geoResolverSuite(
    t,
    maxmind((country) => ({ registered_country: { geoname_id: 1, iso_code: country } })),
  ),
);

t.test('a table', async (t) => geoResolverSuite(t, async (_t, table) => tableGeo(table)));
