import type { Backend } from '../../../../src/domain/entities.ts';
import { FLAG_DELETED, FLAG_HEALTHY, type TableImage } from '../../../../src/domain/table-image.ts';
import { REGIONS } from '../../../../src/domain/value-objects.ts';

/** The rows of an image, ordered by id. */
export function rowsOf(image: TableImage): Backend[] {
  return Array.from({ length: image.rows }, (_, i) => ({
    id: text(image.ids, image.idEnd, i),
    app: image.apps[image.app[i]!]!,
    region: REGIONS[image.region[i]!]!,
    country: image.countries[image.country[i]!]! || null,
    host: text(image.hosts, image.hostEnd, i),
    port: image.port[i]!,
    healthy: (image.flags[i]! & FLAG_HEALTHY) !== 0,
    weight: image.weight[i]!,
    softLimit: image.softLimit[i]!,
    hardLimit: image.hardLimit[i]!,
    deleted: (image.flags[i]! & FLAG_DELETED) !== 0,
  }));
}

export function idsOf(image: TableImage): string[] {
  return rowsOf(image).map((row) => row.id);
}

function text(bytes: Uint8Array, ends: Uint32Array, i: number): string {
  return Buffer.from(bytes.subarray(i === 0 ? 0 : ends[i - 1]!, ends[i]!)).toString('utf8');
}
