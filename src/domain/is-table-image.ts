import type { TableImage } from './table-image.ts';

/** What each column is made of, entry i of it being row i's. */
const COLUMNS = {
  idEnd: Uint32Array,
  hostEnd: Uint32Array,
  app: Uint32Array,
  region: Uint8Array,
  country: Uint16Array,
  port: Uint16Array,
  weight: Uint16Array,
  softLimit: Uint32Array,
  hardLimit: Uint32Array,
  flags: Uint8Array,
  ringHash: Uint32Array,
} as const satisfies Partial<Record<keyof TableImage, unknown>>;

/**
 * Whether a value that other code made has the form of an image: each column there, of its type, and as long as there are
 * rows. It does not look at what stands in them, and so takes no time.
 */
export function isTableImage(value: unknown): value is TableImage {
  if (typeof value !== 'object' || value === null) return false;
  const image = value as Readonly<Record<keyof TableImage, unknown>>;
  return (
    Object.entries(COLUMNS).every(([name, type]) => {
      const column = image[name as keyof typeof COLUMNS];
      return column instanceof type && column.length === image.rows;
    }) &&
    image.ids instanceof Uint8Array &&
    image.hosts instanceof Uint8Array &&
    Array.isArray(image.apps) &&
    Array.isArray(image.countries) &&
    Array.isArray(image.problems) &&
    typeof image.problemCount === 'number' &&
    typeof image.contentHash === 'string' &&
    Array.isArray(image.groups) &&
    image.groups.every(
      (group) =>
        typeof group?.app === 'string' && typeof group.scope === 'string' && group.slots instanceof Uint32Array,
    )
  );
}
