import type { Backend } from './entities.ts';
import { MAX_DELTA_ROWS, type TableDelta } from './table-delta.ts';
import type { TableContent, TableImage } from './table-image.ts';
import { isRegionCode } from './value-objects.ts';

/** What each column is made of; each has an entry for each row. */
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
  ring: Uint32Array,
} as const satisfies Partial<Record<keyof TableImage, unknown>>;

type Unknown<T> = Readonly<Record<keyof T, unknown>>;

/**
 * Whether a value that other code made has the form of an image or of a delta. Of an image it does not look at what
 * stands in the columns, and so takes no time; a delta has few rows, and each is looked at.
 */
export function isTableContent(value: unknown): value is TableImage | TableDelta {
  if (typeof value !== 'object' || value === null) return false;
  const { rows, contentHash, problems, problemCount } = value as Unknown<TableContent>;
  return (
    Number.isInteger(rows) &&
    typeof contentHash === 'string' &&
    Array.isArray(problems) &&
    typeof problemCount === 'number' &&
    ('base' in value ? isDelta(value as Unknown<TableDelta>) : isImage(value as Unknown<TableImage>))
  );
}

function isImage(image: Unknown<TableImage>): boolean {
  return (
    Object.entries(COLUMNS).every(([name, type]) => {
      const column = image[name as keyof typeof COLUMNS];
      return column instanceof type && column.length === image.rows;
    }) &&
    image.ids instanceof Uint8Array &&
    image.hosts instanceof Uint8Array &&
    Array.isArray(image.apps) &&
    Array.isArray(image.countries)
  );
}

function isDelta({ base, upserts, removed }: Unknown<TableDelta>): boolean {
  return (
    typeof base === 'string' &&
    Array.isArray(upserts) &&
    Array.isArray(removed) &&
    upserts.length + removed.length <= MAX_DELTA_ROWS &&
    upserts.every(isBackend) &&
    removed.every((id) => typeof id === 'string')
  );
}

function isBackend(value: unknown): value is Backend {
  if (typeof value !== 'object' || value === null) return false;
  const row = value as Unknown<Backend>;
  return (
    [row.id, row.app, row.host, row.region, row.country ?? ''].every((text) => typeof text === 'string') &&
    isRegionCode(row.region as string) &&
    [row.port, row.weight, row.softLimit, row.hardLimit].every((n) => Number.isInteger(n) && (n as number) >= 0) &&
    typeof row.healthy === 'boolean' &&
    typeof row.deleted === 'boolean'
  );
}
