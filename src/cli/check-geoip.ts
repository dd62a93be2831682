// Runs in: cli
import { bundledGeoipPath } from '../adapters/outbound/maxmind/bundled.ts';
import { MaxmindGeoResolver } from '../adapters/outbound/maxmind/maxmind-geo-resolver.ts';
import { EdgeError } from '../errors.ts';

/** The GeoIP database as a start would find it. */
export interface GeoipReport {
  /** `null`: the bundled one. */
  readonly path: string | null;
  readonly error: EdgeError | null;
}

/** Opens the database at `path`, or the bundled one. Never throws for what it finds. */
export async function checkGeoip(path: string | null): Promise<GeoipReport> {
  try {
    await MaxmindGeoResolver.open(path ?? bundledGeoipPath());
    return { path, error: null };
  } catch (error) {
    if (error instanceof EdgeError) return { path, error };
    throw error;
  }
}

export function describeGeoip({ path, error }: GeoipReport): readonly string[] {
  return [`GeoIP database ${path ?? '(bundled)'}: ${error === null ? 'readable' : 'NOT READABLE'}`];
}
