import t from 'tap';
import { readStartArguments } from '../../../src/adapters/inbound/start-arguments.ts';
import { VARIABLES } from '../../../src/config.ts';

const PROGRAM = { version: '1.2.3', variables: VARIABLES };

t.test('without arguments it is a start', async (t) => {
  t.equal(readStartArguments([], PROGRAM), null);
});

t.test('the help names every variable, in eighty columns', async (t) => {
  const text = readStartArguments(['--help'], PROGRAM)!;
  for (const name of Object.keys(VARIABLES)) t.match(text, `\n  ${name}`);
  for (const line of text.split('\n')) t.ok(line.length <= 80, line);
  t.equal(readStartArguments(['-h'], PROGRAM), text);
});

t.test('the version', async (t) => {
  t.equal(readStartArguments(['--version'], PROGRAM), '1.2.3\n');
});

t.test('anything else is refused, with a word about variables', async (t) => {
  for (const args of [['--port', '80'], ['backends', 'list'], ['']])
    t.throws(() => readStartArguments(args, PROGRAM), { code: 'EDGE_ERR_USAGE', message: /environment variables/ });
});
