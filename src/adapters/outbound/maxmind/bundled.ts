// Runs in: primary
import { fileURLToPath } from 'node:url';

/**
 * The path of the database that comes with edgeProxy: countries by the regional registries' public records (CC0), IPv4 and
 * IPv6. Throws the loader's ERR_MODULE_NOT_FOUND when the package is not installed.
 */
export function bundledGeoipPath(): string {
  return fileURLToPath(import.meta.resolve('@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb'));
}
