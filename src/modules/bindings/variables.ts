// Runs in: primary, cli
import { integer, seconds } from '../../variable.ts';

export const BINDINGS_VARIABLES = {
  EDGEPROXY_BINDING_TTL_SECS: seconds(
    'bindingTtlMs',
    '600',
    1,
    30 * 86_400,
    'how long an idle client keeps its backend',
  ),
  EDGEPROXY_BINDING_GC_INTERVAL_SECS: seconds(
    'bindingGcIntervalMs',
    '60',
    1,
    86_400,
    'how often expired bindings are swept',
  ),
  EDGEPROXY_MAX_BINDINGS: integer(
    'maxBindings',
    '1000000',
    1,
    50_000_000,
    'bindings kept at most; the least recently seen goes first',
  ),
};
