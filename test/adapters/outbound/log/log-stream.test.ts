import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { LogStream } from '../../../../src/adapters/outbound/log/log-stream.ts';
import { mountSmallDisk } from '../../../fixtures/small-disk.ts';
import { until } from '../../../fixtures/until.ts';

const KIB = 1 << 10;
const MIB = 1 << 20;
/** More than a pipe takes. */
const HELD_UP = 256 * KIB;

/** A line of so many bytes, its end included, that tells its number. */
const line = (n: number, bytes: number) => `${String(n).padEnd(bytes - 1, '.')}\n`;
const numbersIn = (lines: string) =>
  lines
    .split('\n')
    .slice(0, -1)
    .map((each) => Number.parseInt(each, 10));

/** A stream into a pipe that nobody reads before `read()`, which ends the stream, and gives what came. */
function stalledReader(t: Test) {
  const path = join(t.testdir(), 'pipe');
  spawnSync('mkfifo', [path]);
  const end = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const fd = openSync(path, constants.O_WRONLY);
  const stream = new LogStream(fd);
  return {
    stream,
    read: async () => {
      const all = text(new Socket({ fd: end, readable: true }));
      t.equal(await stream.end(60_000), true);
      closeSync(fd);
      return all;
    },
  };
}

for (const how of ['write', 'gather'] as const) {
  t.test(`${how}: 16 MiB wait for a reader that stalls, what comes beyond is dropped and counted`, async (t) => {
    const { stream, read } = stalledReader(t);
    stream.write(line(0, HELD_UP));
    for (let n = 1; n <= 16 * KIB; n++) stream[how](line(n, KIB));
    t.equal(stream.dropped, 0, 'all that there is room for');
    for (let n = 1; n <= 3; n++) stream[how](line(20_000 + n, KIB));
    t.equal(stream.dropped, 3);
    t.equal(await stream.end(1), false, 'it is held up');
    const came = await read();
    t.equal(came.length, HELD_UP + 16 * MIB);
    t.same(numbersIn(came), [...Array(16 * KIB + 1).keys()], 'each once, in order');
  });
}

t.test('it is behind while more than a quarter of that waits', async (t) => {
  const { stream, read } = stalledReader(t);
  stream.write(line(0, HELD_UP));
  for (let n = 1; n <= 4; n++) stream.write(line(n, MIB));
  t.notOk(stream.isBehind);
  stream.write(line(5, KIB));
  t.ok(stream.isBehind);
  t.same(numbersIn(await read()), [0, 1, 2, 3, 4, 5]);
  t.notOk(stream.isBehind);
});

t.test('what was taken by the reader makes room again', async (t) => {
  const { stream, read } = stalledReader(t);
  stream.write(line(0, HELD_UP));
  stream.write(line(1, 16 * MIB));
  stream.write(line(2, KIB));
  t.equal(stream.dropped, 1);
  t.same(numbersIn(await read()), [0, 1]);
  stream.write(line(3, KIB));
  await until('a closed pipe to be noticed', () => stream.dropped === 2);
});

t.test('after a full disk: records are whole or one cut line, and none that is there counts as dropped', async (t) => {
  const disk = mountSmallDisk(t);
  if (disk === null) return;
  const path = join(disk.directory, 'log');
  const fd = openSync(path, 'a');
  t.teardown(() => closeSync(fd));
  const told: number[] = [];
  const stream = new LogStream(fd, (lost) => void told.push(lost));
  // Three pages of 4,096 bytes: four lines of 1,000 to a page, and a part.
  disk.fill(3);
  for (let n = 0; n < 20; n++) stream.gather(line(n, 1000));
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
  const stream = new LogStream(fd);
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
  const stream = new LogStream(fd);
  disk.fill(3);
  for (let n = 0; n < 20; n++) stream.gather(line(n, 1000));
  stream.endNow();
  t.equal(stream.dropped, 20 - numbersIn(readFileSync(path, 'utf8')).length);
  disk.makeRoom();
  stream.gather(line(20, 1000));
  stream.endNow();
  t.match(readFileSync(path, 'utf8'), /\.\n20\.+\n$/);
});
