import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { ROOT } from '../../../fixtures/proxy.ts';

const native = join(ROOT, 'src/adapters/dataplane/epoll/native');
const compiler = process.env.CC || 'cc';
const skip = spawnSync(compiler, ['--version']).status !== 0 && `there is no C compiler (${compiler})`;

t.test('what slow readers hold is counted to the byte, through every change of a chunk', { skip }, async (t) => {
  const program = join(t.testdir(), 'buffers-check');
  const sources = [join(import.meta.dirname, 'buffers-check.c'), join(native, 'buffers.c')];
  const built = spawnSync(compiler, ['-std=gnu11', '-O1', `-I${native}`, '-o', program, ...sources], {
    encoding: 'utf8',
  });
  t.equal(built.status, 0, built.stderr);
  t.match(spawnSync(program, { encoding: 'utf8' }), { status: 0, stdout: '' });
});
