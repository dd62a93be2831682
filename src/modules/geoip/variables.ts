// Runs in: primary, cli
import { variable } from '../../variable.ts';

export const GEOIP_VARIABLES = {
  /** `null`: the bundled database. */
  EDGEPROXY_GEOIP_PATH: variable(
    'geoipPath',
    '',
    'a file path; unset for the bundled database',
    "a country or city database in MaxMind's format; followed live",
    (text) => text.trim() || null,
  ),
};
