import fc from 'fast-check';
import t from 'tap';
import { AccessLines } from '../../../../src/adapters/outbound/log/access-line.ts';
import { LineBytes } from '../../../../src/adapters/outbound/log/line-bytes.ts';
import { CLOSES, ROW_BYTES, readRow, WHYS, writeRow } from '../../../../src/adapters/outbound/log/log-rows.ts';
import type { AccessRecord } from '../../../../src/application/ports/access-log.ts';
import { ClientAddress } from '../../../../src/domain/client-address.ts';

const ms = fc.integer({ min: 0, max: 2 ** 45 }).map((us) => us / 1000);
const bytes = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const name = fc.string({ unit: 'grapheme', maxLength: 40 });
const record: fc.Arbitrary<AccessRecord> = fc.record({
  client: fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }).map(ClientAddress.of),
    fc.uint8Array({ minLength: 16, maxLength: 16 }).map(ClientAddress.of),
  ),
  country: fc.constantFrom(null, 'DE', 'BR', 'ZZ'),
  listener: name,
  backend: fc.option(name),
  why: fc.constantFrom(...WHYS),
  close: fc.constantFrom(...CLOSES),
  attempts: fc.nat(255),
  pickMs: ms,
  connectMs: ms,
  totalMs: ms,
  bytesToBackend: bytes,
  bytesToClient: bytes,
  routingVersion: bytes,
});
const tried = fc.option(fc.array(fc.record({ backend: name, code: fc.constant('ECONNREFUSED'), ms })));

/** What becomes of a record, through a row and a line. */
function lineOf(record: AccessRecord, time: number, forPeople = false): string {
  const json = record.tried === undefined ? null : Buffer.from(JSON.stringify(record.tried));
  const view = new DataView(new SharedArrayBuffer(ROW_BYTES + (json?.length ?? 0) + 8));
  const backend = record.backend === null ? 0 : 2;
  writeRow(view, 8, record, time, 1, backend, json);
  const lines = new AccessLines({ forPeople, isoTime: false, pid: 7 });
  lines.name(1, record.listener);
  if (record.backend !== null) lines.name(2, record.backend);
  const out = new LineBytes(16);
  lines.add(readRow(view, 8), out);
  return out.bytes.toString();
}

t.test('a record is told in JSON as pino would, whatever it holds', async (t) => {
  fc.assert(
    fc.property(record, tried, fc.nat(2 ** 41), (plain, dials, time) => {
      const whole = dials === null ? plain : { ...plain, tried: dials };
      const line = lineOf(whole, time);
      const client = plain.client.text;
      const { routingVersion, ...rest } = { ...whole, client };
      const expected = { level: 'info', time, pid: 7, ...rest, routingVersion, msg: 'connection' };
      t.same(JSON.parse(line), expected);
      return line.endsWith('}\n') && line.indexOf('\n') === line.length - 1;
    }),
    { numRuns: 500 },
  );
});

t.test('times have three decimals, and what is no number is not taken for one', async (t) => {
  const out = new LineBytes(1);
  const said = (value: number) => {
    out.clear();
    out.milliseconds(value);
    return out.bytes.toString();
  };
  t.same([0, 0.001, 0.01, 0.5, 1.25, 99.9996, 12345.678].map(said), [
    '0',
    '0.001',
    '0.01',
    '0.5',
    '1.25',
    '100',
    '12345.678',
  ]);
  t.equal(said(1e300), '1e+300');
  out.clear();
  for (const value of [0, 9, 10, Number.MAX_SAFE_INTEGER, 0.5, -1]) {
    out.number(value);
    out.text(' ');
  }
  t.equal(out.bytes.toString(), '0 9 10 9007199254740991 0.5 -1 ');
});

t.test('for people it is another line', async (t) => {
  const one: AccessRecord = { ...fc.sample(record, { numRuns: 1, seed: 1 })[0]!, backend: 'b', close: 'finished' };
  t.match(lineOf(one, 0, true), / -> b .* B\n$/);
});
