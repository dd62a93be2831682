// Runs in: primary
import { type CountryResponse, Reader } from 'maxmind';
import type { ClientAddress } from '../../../domain/client-address.ts';

import type { CountryCode } from '../../../domain/value-objects.ts';
import { messageOf } from '../../../errors.ts';
import { countryOf } from './country-of.ts';

/** MaxMind DB 2.0: before the metadata, which stands in the last 128 KiB; between the search tree and the data, 16 zeros. */
const METADATA_MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
const METADATA_MAX_BYTES = 128 * 1024;
const SEPARATOR = Buffer.alloc(16);
/** The first record with a country is found long before; the bound is for files that have none. */
const SEARCHED_BYTES = 8 * 1024 * 1024;
/** Decoded values kept. Country databases have fewer records than this; a city database's largest take some 5 KB each. */
const CACHED_VALUES = 1024;
const PROBES = ['0.0.0.0', '8.8.8.8', '127.0.0.1', '255.255.255.255', '::', '2001:4860:4860::8888', 'ff00::'];

/** One version of a database, checked and held in memory. */
export class CountryDatabase {
  readonly #reader: Reader<CountryResponse>;

  /**
   * Throws, for people to read, when `bytes` is no sane MaxMind database or holds no countries. Takes a millisecond or so, for
   * any size that is a country database.
   */
  constructor(bytes: Buffer) {
    // Checked here, since the reader takes what it finds anywhere for metadata.
    const tailAt = Math.max(0, bytes.length - METADATA_MAX_BYTES);
    const metadataAt = tailAt + bytes.subarray(tailAt).lastIndexOf(METADATA_MARKER);
    if (metadataAt < tailAt) {
      throw new Error('it is no MaxMind database, or a truncated one: it has no metadata at its end');
    }
    try {
      this.#reader = new Reader<CountryResponse>(bytes, { cache: boundedCache() });
      checkLayout(this.#reader, bytes, metadataAt);
      for (const probe of PROBES) if (this.#reads(probe)) this.#reader.get(probe);
    } catch (error) {
      throw new Error(`it is damaged, or no country database: ${messageOf(error)}`, { cause: error });
    }
  }

  /** When the database was made; `null`: it does not say. */
  get builtAt(): Date | null {
    const { buildEpoch } = this.#reader.metadata;
    return buildEpoch.getTime() > 0 ? buildEpoch : null;
  }

  /** Throws when the record of this address is damaged. */
  country({ text }: Pick<ClientAddress, 'text'>): CountryCode | null {
    return this.#reads(text) ? countryOf(this.#reader.get(text)) : null;
  }

  /** The reader would walk a tree of IPv4 with the first 32 bits of an IPv6 address, and find someone else's country. */
  #reads(text: string): boolean {
    return this.#reader.metadata.ipVersion === 6 || !text.includes(':');
  }
}

function checkLayout(reader: Reader<CountryResponse>, bytes: Buffer, metadataAt: number): void {
  const { binaryFormatMajorVersion, ipVersion, nodeCount, searchTreeSize } = reader.metadata;
  if (binaryFormatMajorVersion !== 2) {
    throw new Error(`it has format version ${binaryFormatMajorVersion}, only 2 is read`);
  }
  if (ipVersion !== 4 && ipVersion !== 6) throw new Error(`it is for IP version ${ipVersion}, expected 4 or 6`);
  const dataAt = searchTreeSize + SEPARATOR.length;
  if (!(nodeCount > 0) || !bytes.subarray(searchTreeSize, dataAt).equals(SEPARATOR)) {
    throw new Error('its search tree does not end where its metadata says');
  }
  // An ASN or anonymiser database reads well, and would silently leave every client without a country.
  const searched = bytes.subarray(dataAt, Math.min(metadataAt, dataAt + SEARCHED_BYTES));
  if (!searched.includes('country')) throw new Error('it holds no countries');
}

/** Emptied when full: simpler than an LRU, and as good for the few hundred countries and names that recur. */
function boundedCache() {
  const values = new Map<string | number, unknown>();
  return {
    get: (key: string | number): unknown => values.get(key),
    set(key: string | number, value: unknown): void {
      if (values.size >= CACHED_VALUES) values.clear();
      values.set(key, value);
    },
  };
}
