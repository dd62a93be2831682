import t from 'tap';
import { isRegionCode, REGIONS, regionAndNeighbours } from '../../src/domain/value-objects.ts';

t.test('the regions to try: itself first, each at most once', async (t) => {
  t.same(
    REGIONS.map((region) => regionAndNeighbours(region)),
    [
      ['sa', 'us', 'eu'],
      ['us', 'eu'],
      ['eu', 'us'],
      ['ap', 'us', 'eu'],
      ['af', 'eu', 'us'],
      ['me', 'eu', 'us'],
    ],
  );
});

t.test('region codes are lower case and complete', async (t) => {
  t.ok(REGIONS.every(isRegionCode));
  for (const text of ['', 'EU', 'e', 'eux', 'toString', 'constructor']) t.notOk(isRegionCode(text), text);
});
