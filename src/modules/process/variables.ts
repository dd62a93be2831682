// Runs in: primary, cli
import { seconds } from '../../variable.ts';

export const PROCESS_VARIABLES = {
  EDGEPROXY_LAME_DUCK_SECS: seconds(
    'lameDuckMs',
    '0',
    0,
    3600,
    'how long a stop serves on, not ready any more, before it closes its ports',
  ),
  EDGEPROXY_SHUTDOWN_TIMEOUT_SECS: seconds(
    'shutdownTimeoutMs',
    '30',
    0,
    86_400,
    'how long a stop or a roll waits for open connections',
  ),
};
