import fc from 'fast-check';
import t from 'tap';
import { editDistance, nearestId } from '../../../../src/adapters/outbound/sqlite/nearest-id.ts';

t.test('the nearest id, if one is near', async (t) => {
  const ids = ['sa-node-1', 'sa-node-2', 'eu-frankfurt-1'];
  t.equal(nearestId('sa-nod-2', ids), 'sa-node-2');
  t.equal(nearestId('SA-NODE-1', ids), 'sa-node-1');
  t.equal(nearestId('eu-frankfurt', ids), 'eu-frankfurt-1');
  t.equal(nearestId('zz', ids), null);
  t.equal(nearestId('', []), null);
});

t.test('an edit distance is a metric', async () => {
  const text = fc.string({ maxLength: 12 });
  fc.assert(
    fc.property(text, text, text, (a, b, c) => {
      const ab = editDistance(a, b);
      return (
        (ab === 0) === (a === b) &&
        ab === editDistance(b, a) &&
        ab <= Math.max(a.length, b.length) &&
        ab <= editDistance(a, c) + editDistance(c, b)
      );
    }),
  );
});
