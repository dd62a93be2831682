import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { CLEAN_ENV } from './fixtures/clean-env.ts';

const ROOT = join(import.meta.dirname, '..');
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

// Not the script itself, which would run inside of itself: tap's own reading of it.
t.test('npm run coverage measures coverage, which tests do not', async (t) => {
  const [program, ...flags] = scripts.coverage!.split(' ');
  t.equal(program, 'tap');
  const read = (given: readonly string[]) =>
    execFileSync(join(ROOT, 'node_modules/.bin/tap'), ['config', 'get', 'disable-coverage', ...given], {
      cwd: ROOT,
      encoding: 'utf8',
      // Of this run of tap's own settings nothing.
      env: { ...CLEAN_ENV },
    });
  t.match(read(flags), /false$/m);
  t.match(read([]), /true$/m);
});
