// Runs in: primary
import type { CountryCode } from '../../../domain/value-objects.ts';

/**
 * The country in a record of any of the shapes in use:
 *
 *     {country_code: 'BR'}                 ip-location-db, and others after it
 *     {country: {iso_code: 'BR'}, ...}     MaxMind GeoIP2 and GeoLite2, DB-IP
 *     {registered_country: {iso_code}}     MaxMind, where it does not know where a network is used, but who registered it
 *
 * `null` for other shapes and for whatever is not two ASCII letters.
 */
export function countryOf(record: unknown): CountryCode | null {
  return (
    code(field(record, 'country_code')) ??
    code(field(field(record, 'country'), 'iso_code')) ??
    code(field(field(record, 'registered_country'), 'iso_code'))
  );
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function code(text: unknown): CountryCode | null {
  return typeof text === 'string' && /^[A-Za-z]{2}$/.test(text) ? text.toUpperCase() : null;
}
