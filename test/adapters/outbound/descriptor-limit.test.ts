import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { connectionBudget, descriptorLimit } from '../../../src/adapters/outbound/descriptor-limit.ts';

t.test('a connection takes two descriptors, and some are kept for everything else', async (t) => {
  t.equal(connectionBudget(1024, 0), 480);
  t.equal(connectionBudget(1024, 60), 450, 'listening sockets are descriptors too');
  t.equal(connectionBudget(66, 0), 1);
  t.equal(connectionBudget(0, 0), 1, 'never less than one');
});

t.test('the limit is the one that the process runs under', { skip: process.platform !== 'linux' }, async (t) => {
  const module = pathToFileURL(join(import.meta.dirname, '../../../src/adapters/outbound/descriptor-limit.ts'));
  const script = `import { descriptorLimit } from ${JSON.stringify(module)}; process.stdout.write(String(descriptorLimit()));`;
  const command = 'ulimit -n 777 && exec "$0" --input-type=module -e "$1"';
  t.equal(execFileSync('sh', ['-c', command, process.execPath, script], { encoding: 'utf8' }), '777');
  t.ok(descriptorLimit() > 0);
});
