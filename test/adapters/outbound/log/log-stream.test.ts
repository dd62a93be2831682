import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { MAX_ENTRY_BYTES, RING_BYTES } from '../../../../src/adapters/outbound/log/log-ring.ts';
import { LogStream } from '../../../../src/adapters/outbound/log/log-stream.ts';
import type { AccessRecord } from '../../../../src/application/ports/access-log.ts';
import { ClientAddress } from '../../../../src/domain/client-address.ts';
import { mountSmallDisk } from '../../../fixtures/small-disk.ts';
import { until } from '../../../fixtures/until.ts';

const KIB = 1 << 10;
/** More than a pipe takes. */
const HELD_UP = 256 * KIB;

/** A line of so many bytes, its end included, that tells its number. */
const line = (n: number, bytes: number) => `${String(n).padEnd(bytes - 1, '.')}\n`;
const numbersIn = (lines: string) =>
  lines
    .split('\n')
    .slice(0, -1)
    .map((each) => Number.parseInt(each, 10));

/** A stream that tells in `lost` what it was told to tell. */
function openStream(fd: number, thread?: URL) {
  const lost: number[] = [];
  const failures: unknown[] = [];
  const stream = new LogStream(fd, {
    ...{ forPeople: false, isoTime: false, pid: 7 },
    ...(thread === undefined ? {} : { thread }),
    onThrough: (count) => void lost.push(count),
    onThreadFailed: (error) => void failures.push(error),
  });
  return { stream, lost, failures };
}

/** A stream into a pipe that nobody reads before `read()`, which ends the stream, and gives what came. */
function stalledReader(t: Test) {
  const path = join(t.testdir(), 'pipe');
  spawnSync('mkfifo', [path]);
  const end = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const fd = openSync(path, constants.O_WRONLY);
  const opened = openStream(fd);
  let all: Promise<string> | undefined;
  const flow = () => {
    all ??= text(new Socket({ fd: end, readable: true }));
    return all;
  };
  return {
    ...opened,
    /** Reads from now on. */
    flow,
    read: async () => {
      const all = flow();
      t.equal(await opened.stream.end(60_000), true);
      closeSync(fd);
      return all;
    },
  };
}

const RECORD: AccessRecord = {
  client: new ClientAddress(4, 0x7f000001),
  country: 'DE',
  listener: '127.0.0.1:8080',
  backend: 'b1',
  why: 'picked',
  close: 'finished',
  attempts: 1,
  pickMs: 0.25,
  connectMs: 0.5,
  totalMs: 3,
  bytesToBackend: 5,
  bytesToClient: 6,
  routingVersion: 7,
};

t.test('what waits for a reader that stalls is bounded, what comes beyond is dropped and counted', async (t) => {
  const { stream, lost, read } = stalledReader(t);
  stream.write(line(0, HELD_UP));
  let taken = 1;
  while (stream.dropped === 0) stream.write(line(taken++, KIB));
  t.ok(taken * KIB > RING_BYTES / 2 && taken * KIB < RING_BYTES, `${taken} KiB`);
  for (let n = 1; n <= 3; n++) stream.write(line(20_000 + n, KIB));
  while (stream.dropped === 4) stream.gather(RECORD, 0);
  t.equal(stream.dropped, 5);
  t.ok(Date.now() - stream.droppedAt < 60_000);
  t.equal(await stream.end(1), false, 'it is held up');
  const came = (await read()).replace(/\{.*\n/g, '');
  t.same(numbersIn(came), [...Array(taken - 1).keys()], 'each once, in order');
  await until('it to be told', () => lost.length > 0);
  t.same(lost, [5], 'once, when lines come through again');
});

t.test('it is behind while more than a quarter of that waits', async (t) => {
  const { stream, read } = stalledReader(t);
  stream.write(line(0, HELD_UP));
  for (let n = 1; n <= 3; n++) stream.write(line(n, 512 * KIB));
  t.notOk(stream.isBehind);
  for (let n = 4; n <= 6; n++) stream.write(line(n, 512 * KIB));
  t.ok(stream.isBehind);
  t.same(numbersIn(await read()), [0, 1, 2, 3, 4, 5, 6]);
  t.notOk(stream.isBehind);
});

t.test('a line that is longer than any should be is dropped, and the next is not', async (t) => {
  const { stream, read } = stalledReader(t);
  stream.write(line(0, MAX_ENTRY_BYTES));
  stream.write(line(1, MAX_ENTRY_BYTES - 16));
  stream.write(line(2, 10));
  t.equal(stream.dropped, 1);
  t.same(numbersIn(await read()), [1, 2]);
});

t.test('whatever their lengths, lines come out as they went in, round the ring and round again', async (t) => {
  const { stream, flow, read } = stalledReader(t);
  void flow();
  const sent: string[] = [];
  for (let n = 0, bytes = 0; bytes < 3 * RING_BYTES; n++) {
    const next = line(n, 20 + ((n * 7919) % 3001) * (n % 50 === 0 ? 30 : 1));
    bytes += next.length;
    sent.push(next);
    while (stream.isBehind) await new Promise((resolve) => setTimeout(resolve, 1));
    stream.write(next);
    if (n % 3 === 0) stream.gather({ ...RECORD, attempts: n % 100 }, n);
  }
  t.equal(stream.dropped, 0);
  const lines = (await read()).split('\n');
  t.same(
    lines.filter((each) => !each.startsWith('{')).slice(0, -1),
    sent.map((each) => each.slice(0, -1)),
  );
  const rows = lines.filter((each) => each.startsWith('{')).map((each) => JSON.parse(each));
  t.same(
    rows.map(({ time }) => time),
    Array.from({ length: Math.ceil(sent.length / 3) }, (_, i) => 3 * i),
  );
});

t.test('lines of connections gather for a moment, and are written without anybody asking', async (t) => {
  const path = join(t.testdir(), 'log');
  const fd = openSync(path, 'a');
  const { stream } = openStream(fd);
  stream.gather(RECORD, 0);
  await until('it', () => readFileSync(path, 'utf8').endsWith('}\n'));
  stream.gather({ ...RECORD, backend: null, why: 'all_full', close: 'refused' }, 0);
  await until('the next', () => readFileSync(path, 'utf8').split('\n').length === 3);
  t.match(JSON.parse(readFileSync(path, 'utf8').split('\n')[1]!), { backend: null, why: 'all_full', close: 'refused' });
  t.equal(stream.dropped, 0);
});

t.test('a thread that dies is followed by another one, which writes what waits', async (t) => {
  const directory = t.testdir();
  const path = join(directory, 'log');
  process.env.DIED = join(directory, 'died');
  const { stream, failures } = openStream(openSync(path, 'a'), new URL('./dying-thread.ts', import.meta.url));
  stream.write(line(1, 10));
  stream.gather(RECORD, 0);
  await until('it to die', () => failures.length === 1);
  stream.gather({ ...RECORD, backend: 'b2' }, 0);
  t.equal(await stream.end(60_000), true);
  const [first, ...rows] = readFileSync(path, 'utf8').trimEnd().split('\n');
  t.equal(first, '1........');
  t.same(
    rows.map((row) => JSON.parse(row).backend),
    ['b1', 'b2'],
    'names that the first one was told included',
  );
  t.equal(stream.dropped, 0);
});

t.test('after a full disk: records are whole or one cut line, and none that is there counts as dropped', async (t) => {
  const disk = mountSmallDisk(t);
  if (disk === null) return;
  const path = join(disk.directory, 'log');
  const fd = openSync(path, 'a');
  t.teardown(() => closeSync(fd));
  const { stream, lost: told } = openStream(fd);
  // Three pages of 4,096 bytes: four lines of 1,000 to a page, and a part.
  disk.fill(3);
  for (let n = 0; n < 20; n++) stream.write(line(n, 1000));
  t.equal(await stream.end(60_000), true);
  const there = numbersIn(readFileSync(path, 'utf8')).length;
  t.ok(there > 0 && there < 20, `${there} of 20 were written`);
  t.equal(stream.dropped, 20 - there);
  stream.write(line(20, 1000));
  await until('another to be dropped', () => stream.dropped === 21 - there);
  t.same(told, [], 'there is nowhere to say it');

  disk.makeRoom();
  stream.write(line(21, 1000));
  stream.write(line(22, 1000));
  t.equal(await stream.end(60_000), true);
  const lines = readFileSync(path, 'utf8').split('\n');
  t.equal(lines.pop(), '', 'it ends with a line');
  const whole = lines.filter((each) => each.length === 999).map((each) => Number.parseInt(each, 10));
  t.same(whole, [...Array(there).keys(), 21, 22]);
  t.equal(lines.length, whole.length + 1, 'and the one that was cut stands by itself');
  t.equal(stream.dropped, 21 - there);
  t.same(told, [21 - there], 'once, when lines come through again');
});

t.test('a disk that is full from the start, and one that has room for all but the end of a line', async (t) => {
  const disk = mountSmallDisk(t);
  if (disk === null) return;
  const path = join(disk.directory, 'log');
  const fd = openSync(path, 'a');
  t.teardown(() => closeSync(fd));
  const { stream } = openStream(fd);
  const writes = async (n: number, bytes: number) => {
    stream.write(line(n, bytes));
    await stream.end(60_000);
    return stream.dropped;
  };
  disk.fill(0);
  t.equal(await writes(0, 100), 1);
  disk.makeRoom();
  disk.fill(1);
  t.equal(await writes(1, 4100), 2, 'cut at the end of the page');
  disk.makeRoom();
  disk.fill(2);
  t.equal(await writes(2, 4096), 3, 'cut before its end of line, since it begins with one');
  disk.makeRoom();
  t.equal(await writes(3, 100), 3);
  t.same(numbersIn(readFileSync(path, 'utf8')), [1, 2, 3], 'no empty line');
});

t.test('the same for what is written at the very end of the process', async (t) => {
  const disk = mountSmallDisk(t);
  if (disk === null) return;
  const path = join(disk.directory, 'log');
  const fd = openSync(path, 'a');
  t.teardown(() => closeSync(fd));
  const { stream } = openStream(fd);
  disk.fill(3);
  for (let n = 0; n < 20; n++) stream.write(line(n, 1000));
  stream.endNow();
  t.equal(stream.dropped, 20 - numbersIn(readFileSync(path, 'utf8')).length);
  disk.makeRoom();
  stream.write(line(20, 1000));
  stream.endNow();
  t.match(readFileSync(path, 'utf8'), /\.\n20\.+\n$/);
});
