import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readVersion, sameStamp, stampOf } from '../../../../src/adapters/outbound/maxmind/database-file.ts';

t.test('the version that was stamped is read', async (t) => {
  const path = join(t.testdir({ a: 'content' }), 'a');
  const stamp = await stampOf(path);
  t.equal(String(await readVersion(path, stamp)), 'content');
  t.ok(sameStamp(stamp, await stampOf(path)), 'reading changes nothing');
});

t.test('a file that was changed since it was stamped is not handed out', async (t) => {
  const path = join(t.testdir(), 'a');
  const changes: [string, () => void][] = [
    ['grown', () => appendFileSync(path, 'more')],
    ['shrunk', () => truncateSync(path, 3)],
    [
      'replaced',
      () => {
        writeFileSync(`${path}.new`, 'another content');
        renameSync(`${path}.new`, path);
      },
    ],
  ];
  for (const [what, change] of changes) {
    writeFileSync(path, 'content');
    const stamp = await stampOf(path);
    change();
    t.equal(await readVersion(path, stamp), null, what);
  }
  const stamp = await stampOf(path);
  rmSync(path);
  await t.rejects(readVersion(path, stamp), { code: 'ENOENT' });
});

t.test('a version differs by any part of its stamp', async (t) => {
  const stamp = { dev: 1n, ino: 2n, size: 3n, mtimeNs: 4n, ctimeNs: 5n };
  t.ok(sameStamp(stamp, { ...stamp }));
  for (const part of Object.keys(stamp)) t.notOk(sameStamp(stamp, { ...stamp, [part]: 0n }), part);
});
