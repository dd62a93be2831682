// Runs in: primary, cli
import { isRegionCode, REGIONS } from '../../domain/value-objects.ts';
import { variable } from '../../variable.ts';

export const BOOKS_VARIABLES = {
  EDGEPROXY_REGION: variable('popRegion', 'sa', REGIONS.join(', '), "this POP's region", (text) =>
    isRegionCode(text) ? text : undefined,
  ),
};
