import t from 'tap';
import { isToBlame, LACKS, lackOf, OUR_CODES, pauseBeforeRedial, refusalAfter } from '../../src/domain/blame.ts';

const dial = (backend: string, code: string, ours: boolean) => ({ backend, code, ms: 1, ours });

t.test('what this host lacks is told from what a backend does', async (t) => {
  const lacks = { EMFILE: 'descriptors', EADDRNOTAVAIL: 'ports', ENOBUFS: 'memory', EPERM: 'route' };
  for (const [code, lack] of Object.entries(lacks))
    for (const here of [true, false]) t.equal(lackOf(code, here), lack, code);
  for (const code of ['ECONNREFUSED', 'ETIMEDOUT', 'ECONNRESET', 'EINVAL', 'ESOMETHING'])
    for (const here of [true, false]) t.equal(lackOf(code, here), null, code);
  for (const code of ['ENETUNREACH', 'EHOSTUNREACH']) {
    t.equal(lackOf(code, true), 'route', `${code} of our own kernel`);
    t.equal(lackOf(code, false), null, `${code} of a router, or of the link`);
  }
  for (const code of OUR_CODES) t.ok(lackOf(code, true) !== null, code);
  for (const { advice } of Object.values(LACKS)) t.match(advice, /sysctl|ip route/);
});

t.test('why a client is turned away after its dials', async (t) => {
  t.equal(refusalAfter([dial('a', 'ECONNREFUSED', false)]), 'connect_failed');
  t.equal(refusalAfter([dial('a', 'EMFILE', true)]), 'local_resources');
  t.equal(refusalAfter([dial('a', 'EMFILE', true), dial('b', 'ENETUNREACH', true)]), 'no_route');
  t.equal(refusalAfter([dial('a', 'ETIMEDOUT', false), dial('b', 'ENETUNREACH', true)]), 'connect_failed');
});

t.test('only what a backend did itself is held against it', async (t) => {
  const tried = [dial('a', 'EADDRNOTAVAIL', true), dial('b', 'ECONNREFUSED', false)];
  t.notOk(isToBlame('a', tried));
  t.ok(isToBlame('b', tried));
  t.ok(isToBlame('a', [...tried, dial('a', 'ECONNREFUSED', false)]));
});

t.test('pauses grow, to a bound', async (t) => {
  t.same([1, 2, 3, 4, 50].map(pauseBeforeRedial), [10, 40, 160, 250, 250]);
});
