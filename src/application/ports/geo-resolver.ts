import type { ClientAddress } from '../../domain/client-address.ts';

import type { CountryCode } from '../../domain/value-objects.ts';

export interface GeoResolver {
  /** The country that the address is in, upper case, or `null` when the database does not say. Never throws. */
  country(address: ClientAddress): CountryCode | null;
}
