import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';

t.test('a checkout without its packages says what to run', async (t) => {
  // Not below this checkout, whose packages would be found.
  const root = mkdtempSync(join(tmpdir(), 'ep-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  const own = 'src/adapters/outbound/maxmind/bundled.ts';
  for (const path of [own, 'src/errors.ts']) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    cpSync(join(import.meta.dirname, '../../../..', path), join(root, path));
  }
  const { bundledGeoipPath } = (await import(
    pathToFileURL(join(root, own)).href
  )) as typeof import('../../../../src/adapters/outbound/maxmind/bundled.ts');
  t.throws(bundledGeoipPath, { code: 'EDGE_ERR_GEOIP', message: /is not installed .*: run npm ci, or set/ });
});
