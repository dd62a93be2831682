import t from 'tap';
import { codeOf, EdgeError, ERRORS, type ErrorCode, messageOf } from '../src/errors.ts';

// Scripts of operators match these: a change is a change of the interface.
const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  EDGE_ERR_CONFIG: 2,
  EDGE_ERR_USAGE: 2,
  EDGE_ERR_LISTEN: 3,
  EDGE_ERR_ADMIN_LISTEN: 3,
  EDGE_ERR_GEOIP: 4,
  EDGE_ERR_DB_MISSING: 4,
  EDGE_ERR_DB_UNREADABLE: 4,
  EDGE_ERR_DB_LOCKED: 4,
  EDGE_ERR_DB_SCHEMA: 4,
  EDGE_ERR_BACKEND_INVALID: 2,
  EDGE_ERR_BACKEND_EXISTS: 5,
  EDGE_ERR_BACKEND_UNKNOWN: 5,
  EDGE_ERR_PLATFORM: 6,
  EDGE_ERR_CHANNEL: 7,
  EDGE_ERR_PROTOCOL: 7,
  EDGE_ERR_WORKER_START: 8,
  EDGE_ERR_BUSY: 8,
  EDGE_ERR_ADMIN_UNREACHABLE: 9,
  EDGE_ERR_ADMIN_REFUSED: 9,
  EDGE_ERR_OVERLOADED: 9,
  EDGE_ERR_INTERNAL: 1,
};

t.test('each code has its exit code and its meaning', async (t) => {
  t.same(Object.fromEntries(Object.entries(ERRORS).map(([code, { exitCode }]) => [code, exitCode])), EXIT_CODES);
  t.ok(Object.values(ERRORS).every(({ meaning }) => meaning.length > 10));
});

t.test('an error carries its code, its cause and what to say', async (t) => {
  const cause = new Error('inner');
  const error = new EdgeError('EDGE_ERR_LISTEN', 'cannot bind', { cause });
  t.ok(error instanceof Error);
  t.match(error, { name: 'EdgeError', code: 'EDGE_ERR_LISTEN', exitCode: 3, message: 'cannot bind', cause });
});

t.test('whatever is thrown has a message and maybe a code', async (t) => {
  t.equal(messageOf(new Error('x')), 'x');
  t.equal(messageOf('x'), 'x');
  t.equal(messageOf(undefined), 'undefined');
  t.equal(codeOf(Object.assign(new Error(), { code: 'EMFILE' })), 'EMFILE');
  for (const thrown of [null, undefined, 'x', 7, new Error(), { code: 7 }]) t.equal(codeOf(thrown), '');
});
