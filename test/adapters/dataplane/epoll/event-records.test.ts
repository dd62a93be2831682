import { readFileSync } from 'node:fs';
import t from 'tap';
import { EventRecords } from '../../../../src/adapters/dataplane/epoll/event-records.ts';
import { ClientAddress } from '../../../../src/domain/client-address.ts';
import { CLOSE_REASONS } from '../../../../src/domain/close-reasons.ts';

interface Fields {
  readonly type: number;
  readonly conn?: number;
  readonly code?: number;
  readonly address?: ClientAddress;
  readonly numbers?: readonly number[];
}

const IPV4 = ClientAddress.of([10, 0, 0, 1]);
const IPV6 = ClientAddress.of([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 1]);

/** A buffer as native/batch.c fills it. */
function written(...records: readonly Fields[]): ArrayBuffer {
  const buffer = new ArrayBuffer(records.length * 64);
  const view = new DataView(buffer);
  records.forEach(({ type, conn = 0, code = 0, address, numbers = [] }, index) => {
    const at = index * 64;
    const bytes = address?.bytes ?? [];
    [type, conn, code, bytes.length].forEach((value, i) => void view.setInt32(at + 4 * i, value, true));
    new Uint8Array(buffer).set(bytes, at + 16);
    numbers.forEach((value, i) => void view.setFloat64(at + 16 + 8 * i, value, true));
  });
  return buffer;
}

t.test('every kind of event', async (t) => {
  const buffer = written(
    { type: 1, conn: 5, code: 2, address: IPV4 },
    { type: 2, conn: 5, numbers: [1.25] },
    { type: 3, conn: 6, code: 111 },
    { type: 4, conn: 5, code: 4, numbers: [12.5, 2 ** 40, 7] },
    { type: 5, code: 1, address: IPV6 },
    { type: 8 },
  );
  t.same(new EventRecords(() => undefined).read(6, buffer), [
    { type: 'accepted', conn: 5, listener: 2, address: IPV4 },
    { type: 'connected', conn: 5, rttMs: 1.25 },
    { type: 'connectFailed', conn: 6, code: 'ECONNREFUSED', here: false },
    {
      type: 'closed',
      conn: 5,
      reason: 'half_close_timeout',
      bytesToBackend: 2 ** 40,
      bytesToClient: 7,
      durationMs: 12.5,
    },
    { type: 'refused', listener: 1, address: IPV6 },
    { type: 'settled' },
  ]);
});

t.test('prereads are fetched, and an answer that was taken back is no event', async (t) => {
  const fetched: unknown[] = [];
  const records = new EventRecords((conn, isAnswer) => {
    fetched.push([conn, isAnswer]);
    return conn === 8 ? undefined : Uint8Array.of(conn);
  });
  const buffer = written(
    { type: 6, conn: 5, code: 2, address: IPV4 },
    { type: 6, conn: 8, code: 2, address: IPV4 },
    { type: 7, conn: 5, code: 0 },
    { type: 7, conn: 6, code: 1 },
    { type: 7, conn: 8, code: 1 },
  );
  t.same(records.read(5, buffer), [
    { type: 'accepted', conn: 5, listener: 2, address: IPV4, preread: Uint8Array.of(5) },
    { type: 'accepted', conn: 8, listener: 2, address: IPV4, preread: new Uint8Array(0) },
    { type: 'preread', conn: 5, preread: Uint8Array.of(5), complete: false },
    { type: 'preread', conn: 6, preread: Uint8Array.of(6), complete: true },
  ]);
  t.same(fetched, [
    [5, false],
    [8, false],
    [5, true],
    [6, true],
    [8, true],
  ]);
});

t.test('only as many as were written, and of the buffer that is given', async (t) => {
  const records = new EventRecords(() => undefined);
  const first = written({ type: 2, conn: 1, numbers: [1] }, { type: 2, conn: 2, numbers: [2] });
  t.same(records.read(1, first), [{ type: 'connected', conn: 1, rttMs: 1 }]);
  const larger = written({ type: 2, conn: 3, numbers: [3] });
  t.same(records.read(1, larger), [{ type: 'connected', conn: 3, rttMs: 3 }]);
  t.same(records.read(2, first).length, 2);
});

t.test("the native engine's close reasons are the domain's, by their numbers", async (t) => {
  const header = new URL('../../../../src/adapters/dataplane/epoll/native/batch.h', import.meta.url);
  const [, body = ''] = /enum close_reason \{([^}]*)\}/.exec(readFileSync(header, 'utf8')) ?? [];
  const native = [...body.matchAll(/REASON_(\w+) = (\d+)/g)].map(([, name, number]) => [
    name!.toLowerCase(),
    Number(number),
  ]);
  t.same(
    native,
    CLOSE_REASONS.map((reason, number) => [reason, number]),
  );
});
