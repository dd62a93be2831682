// Runs in: primary
import type { Log } from './ports/log.ts';

/** For whoever started a proxy without backends. */
export function sayHowToAdd(log: Log, dbPath: string): void {
  log.info(
    { database: dbPath },
    'no backends yet: clients are refused until there is one; add it while this runs, from another terminal:',
  );
  log.info({}, 'npx edgeproxy backends add my-backend --region sa --host 10.0.0.5 --port 8080');
}
