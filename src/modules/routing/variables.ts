// Runs in: primary, cli
import { seconds, variable } from '../../variable.ts';

export const ROUTING_VARIABLES = {
  EDGEPROXY_DB_PATH: variable('dbPath', 'routing.db', 'a file path', 'the routing database (SQLite)', (text) =>
    text.trim() === '' || text.includes('\0') ? undefined : text,
  ),
  /** Of the GeoIP file, too: an operator who changes files wants one answer to "how soon". */
  EDGEPROXY_DB_RELOAD_SECS: seconds(
    'dbReloadMs',
    '5',
    1,
    86_400,
    'how often to look for changes of the routing and GeoIP databases',
  ),
};
