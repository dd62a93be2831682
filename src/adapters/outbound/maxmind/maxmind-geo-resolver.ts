// Runs in: primary
import type { GeoResolver } from '../../../application/ports/geo-resolver.ts';
import type { ClientAddress } from '../../../domain/client-address.ts';

import type { CountryCode } from '../../../domain/value-objects.ts';
import { codeOf, EdgeError, messageOf } from '../../../errors.ts';
import { CountryDatabase } from './country-database.ts';
import { type FileStamp, readVersion, sameStamp, stampOf } from './database-file.ts';

/** What a look at the database's file found. */
export type GeoUpdate =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'reloaded' }
  /** the version before serves on; `message` names the file and says what is wrong with it */
  | { readonly kind: 'failed'; readonly message: string };

/** Countries out of a database in MaxMind's format, which may be replaced while it serves. */
export class MaxmindGeoResolver implements GeoResolver {
  readonly path: string;
  readonly #onProblem: (message: string) => void;
  #database: CountryDatabase;
  #stamp: FileStamp;
  /** A version that no further look can find good, and what was said about it. */
  #bad: { readonly stamp: FileStamp; readonly told: GeoUpdate } | null = null;
  #look: Promise<GeoUpdate> | null = null;
  #damageTold = false;

  private constructor(path: string, database: CountryDatabase, stamp: FileStamp, onProblem: (message: string) => void) {
    this.path = path;
    this.#database = database;
    this.#stamp = stamp;
    this.#onProblem = onProblem;
  }

  /**
   * Throws EDGE_ERR_GEOIP when the file cannot be read or is no country or city database. `onProblem` is told once for each
   * loaded version in which a damaged record was met.
   */
  static async open(path: string, onProblem: (message: string) => void = () => {}): Promise<MaxmindGeoResolver> {
    try {
      const stamp = await stampOf(path);
      const database = await load(path, stamp);
      return new MaxmindGeoResolver(path, database, stamp, onProblem);
    } catch (error) {
      throw new EdgeError('EDGE_ERR_GEOIP', problemOf(path, error), { cause: error });
    }
  }

  /** Since the database in service was made, by the wall clock, in seconds; `null`: it does not say. */
  get ageSeconds(): number | null {
    const built = this.#database.builtAt;
    return built === null ? null : (Date.now() - built.getTime()) / 1000;
  }

  country(address: ClientAddress): CountryCode | null {
    try {
      return this.#database.country(address);
    } catch (error) {
      if (!this.#damageTold) {
        this.#damageTold = true;
        this.#onProblem(`the GeoIP database ${this.path} holds a damaged record: ${messageOf(error)}`);
      }
      return null;
    }
  }

  /**
   * Loads the file if it changed since the last look, and serves it once it proved good. Never rejects. A version that was
   * found bad is not read again, but told as failed at every look until the file changes. Looks do not overlap: one that
   * is asked for during another gets that one's result.
   */
  checkForUpdate(): Promise<GeoUpdate> {
    this.#look ??= this.#check().finally(() => {
      this.#look = null;
    });
    return this.#look;
  }

  async #check(): Promise<GeoUpdate> {
    let stamp: FileStamp | null = null;
    try {
      stamp = await stampOf(this.path);
      if (sameStamp(stamp, this.#stamp)) return { kind: 'unchanged' };
      if (this.#bad !== null && sameStamp(stamp, this.#bad.stamp)) return this.#bad.told;
      this.#database = await load(this.path, stamp);
      this.#stamp = stamp;
      this.#damageTold = false;
      return { kind: 'reloaded' };
    } catch (error) {
      const told: GeoUpdate = { kind: 'failed', message: problemOf(this.path, error) };
      if (stamp !== null && isLasting(error)) this.#bad = { stamp, told };
      return told;
    }
  }
}

async function load(path: string, stamp: FileStamp): Promise<CountryDatabase> {
  const bytes = await readVersion(path, stamp);
  if (bytes === null) throw new Error('it changed while it was read');
  return new CountryDatabase(bytes);
}

/** What reading the same version again cannot mend. System errors (permissions, descriptors, a file gone) may pass. */
function isLasting(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.syscall === undefined;
}

function problemOf(path: string, error: unknown): string {
  const reason = codeOf(error) === 'ENOENT' ? 'it does not exist' : messageOf(error);
  return `the GeoIP database ${path} could not be loaded: ${reason}: put a whole .mmdb there, or unset EDGEPROXY_GEOIP_PATH for the bundled one`;
}
