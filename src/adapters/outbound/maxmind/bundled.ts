// Runs in: primary
import { fileURLToPath } from 'node:url';
import { EdgeError, messageOf } from '../../../errors.ts';

/**
 * The path of the database that comes with edgeProxy: countries by the regional registries' public records (CC0), IPv4 and
 * IPv6.
 * @throws EDGE_ERR_GEOIP when the package is not installed
 */
export function bundledGeoipPath(): string {
  try {
    return fileURLToPath(import.meta.resolve('@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb'));
  } catch (cause) {
    const message = `the bundled GeoIP database is not installed (${messageOf(cause)}): run npm ci, or set EDGEPROXY_GEOIP_PATH`;
    throw new EdgeError('EDGE_ERR_GEOIP', message, { cause });
  }
}
