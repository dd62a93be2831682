/** The six regions that backends, POPs and clients live in. */
export const REGIONS = ['sa', 'us', 'eu', 'ap', 'af', 'me'] as const;

/** A region: `sa` South America, `us` North and Central America, `eu` Europe, `ap` Asia-Pacific, `af` Africa, `me` Middle East. */
export type RegionCode = (typeof REGIONS)[number];

/** An ISO 3166-1 alpha-2 code in upper case, such as `BR`. */
export type CountryCode = string;

export function isRegionCode(text: string): text is RegionCode {
  return (REGIONS as readonly string[]).includes(text);
}

/**
 * Where a region's clients go when it has no backends: the region with the shortest cables, not the nearest on a map
 * (Africa's and the Middle East's submarine cables land in Europe, South America's in Florida). Following the table
 * from any region visits the others it can reach once: the last link of each chain closes the eu <-> us loop.
 */
const NEIGHBOUR: Readonly<Record<RegionCode, RegionCode>> = {
  sa: 'us',
  us: 'eu',
  eu: 'us',
  ap: 'us',
  af: 'eu',
  me: 'eu',
};

/** The regions to try for a client of `region`, itself first, each once: `af` gives `['af', 'eu', 'us']`. */
export function regionAndNeighbours(region: RegionCode): readonly RegionCode[] {
  return CHAINS[region];
}

function chainFrom(region: RegionCode): readonly RegionCode[] {
  const chain: RegionCode[] = [];
  for (let next = region; !chain.includes(next); next = NEIGHBOUR[next]) chain.push(next);
  return chain;
}

const CHAINS = Object.fromEntries(REGIONS.map((region) => [region, chainFrom(region)])) as unknown as Readonly<
  Record<RegionCode, readonly RegionCode[]>
>;
