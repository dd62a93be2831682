import type { Backend } from '../../src/domain/entities.ts';
import type { MmdbNetwork } from '../fixtures/mmdb.ts';

/** Where the backends of the demo stand; their ports are found when they run. */
export const BACKENDS = [
  { id: 'sao-paulo', region: 'sa', country: 'BR', hardLimit: 0 },
  { id: 'virginia', region: 'us', country: 'US', hardLimit: 0 },
  { id: 'frankfurt', region: 'eu', country: 'DE', hardLimit: 2 },
] as const satisfies readonly Partial<Backend>[];

export type BackendName = (typeof BACKENDS)[number]['id'];

/** Where the proxy of the demo stands. */
export const POP_REGION = 'sa';

const COUNTRIES: Readonly<Record<string, string>> = {
  '127.1.0.0/24': 'BR',
  '127.1.1.0/24': 'CL',
  '127.2.0.0/24': 'US',
  '127.2.1.0/24': 'CA',
  '127.3.0.0/24': 'DE',
  '127.3.1.0/24': 'FR',
  '127.4.0.0/24': 'NG',
};

/** A GeoIP database of loopback networks. */
export const NETWORKS: readonly MmdbNetwork[] = Object.entries(COUNTRIES).map(([network, code]) => ({
  network,
  record: { country: { iso_code: code } },
}));

/** First visits, one from each place, and where each belongs. */
export const FIRST_VISITS: readonly { readonly address: string; readonly backend: BackendName }[] = [
  { address: '127.1.0.10', backend: 'sao-paulo' },
  { address: '127.1.1.10', backend: 'sao-paulo' },
  { address: '127.2.0.10', backend: 'virginia' },
  { address: '127.2.1.10', backend: 'virginia' },
  { address: '127.3.0.10', backend: 'frankfurt' },
  { address: '127.3.1.10', backend: 'frankfurt' },
  { address: '127.4.0.10', backend: 'frankfurt' },
  { address: '127.9.0.10', backend: 'sao-paulo' },
];

export const BRAZILIAN = '127.1.0.10';
export const OTHER_BRAZILIAN = '127.1.0.11';
export const GERMAN = '127.3.0.10';
export const OTHER_GERMANS = ['127.3.0.21', '127.3.0.22'] as const;
export const HOLDER = '127.2.0.20';

/** Address `n`, 0 to 249, of the clients that come while workers are killed and rolled. */
export function passerBy(n: number): string {
  return `127.2.0.${1 + (n % 250)}`;
}
