import { mkdirSync, renameSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { bundledGeoipPath } from '../../../../src/adapters/outbound/maxmind/bundled.ts';
import { MaxmindGeoResolver } from '../../../../src/adapters/outbound/maxmind/maxmind-geo-resolver.ts';
import { parseAddress } from '../../../../src/ip-address.ts';
import { encodeMmdb, writeMmdb } from '../../../fixtures/mmdb.ts';

const client = parseAddress('127.1.0.1')!;
const rowsOf = (country: string) => [{ network: '127.1.0.0/16', record: { country_code: country } }];
/** A file system of coarse times tells an inode used again, or a second write in one tick, only by the size. */
const larger = (country: string) => [...rowsOf(country), { network: '10.0.0.0/8', record: { country_code: 'CL' } }];
const UNCHANGED = { kind: 'unchanged' };
const RELOADED = { kind: 'reloaded' };

async function opened(t: Test) {
  const path = join(t.testdir(), 'geo.mmdb');
  writeMmdb(path, rowsOf('BR'));
  const geo = await MaxmindGeoResolver.open(path, (message) => t.fail(message));
  t.equal(geo.country(client), 'BR');
  return { path, geo };
}

/** As an updater would: a new file, renamed over the old one. */
function replace(path: string, bytes: string | Buffer) {
  writeFileSync(`${path}.new`, bytes);
  renameSync(`${path}.new`, path);
}

t.test('the bundled database', async (t) => {
  const geo = await MaxmindGeoResolver.open(bundledGeoipPath(), (message) => t.fail(message));
  const ask = (text: string) => geo.country(parseAddress(text)!);
  t.equal(ask('8.8.8.8'), 'US');
  t.equal(ask('200.160.2.3'), 'BR');
  t.equal(ask('::ffff:200.160.2.3'), 'BR');
  t.equal(ask('2001:4860:4860::8888'), 'US');
  t.equal(ask('127.0.0.1'), null);
  t.equal(ask('10.0.0.1'), null);
  t.equal(ask('::1'), null);
  t.same(await geo.checkForUpdate(), UNCHANGED);
});

t.test('a file that cannot serve is no start', async (t) => {
  const dir = t.testdir({ 'empty.mmdb': '', 'garbage.mmdb': 'no database'.repeat(1000), dir: {} });
  const huge = join(dir, 'huge.mmdb');
  writeFileSync(huge, '');
  truncateSync(huge, 512 * 1024 * 1024 + 1); // sparse: takes no space
  const cut = join(dir, 'cut.mmdb');
  writeFileSync(cut, encodeMmdb(rowsOf('BR')).subarray(0, -20));
  const cases: [string, RegExp][] = [
    ['missing.mmdb', /missing\.mmdb could not be loaded: it does not exist/],
    ['empty.mmdb', /no MaxMind database/],
    ['garbage.mmdb', /no MaxMind database/],
    ['cut.mmdb', /cut\.mmdb could not be loaded/],
    ['huge.mmdb', /536870913 bytes/],
    ['dir', /not a regular file/],
  ];
  for (const [name, message] of cases) {
    const opening = MaxmindGeoResolver.open(join(dir, name));
    await t.rejects(opening, { code: 'EDGE_ERR_GEOIP', message }, name);
    await t.rejects(opening, { message: /: put a whole \.mmdb there, or unset EDGEPROXY_GEOIP_PATH/ }, 'what to do');
  }
});

t.test('a file renamed into place is served', async (t) => {
  const { path, geo } = await opened(t);
  t.same(await geo.checkForUpdate(), UNCHANGED);
  writeMmdb(path, rowsOf('AR'));
  t.equal(geo.country(client), 'BR', 'not before the look');
  t.same(await geo.checkForUpdate(), RELOADED);
  t.equal(geo.country(client), 'AR');
  t.same(await geo.checkForUpdate(), UNCHANGED);
});

t.test('a file written in place is served', async (t) => {
  const { path, geo } = await opened(t);
  writeFileSync(path, encodeMmdb(larger('AR')));
  t.same(await geo.checkForUpdate(), RELOADED);
  t.equal(geo.country(client), 'AR');
});

t.test('a copy that keeps the time of the old file is seen', async (t) => {
  const { path, geo } = await opened(t);
  const { mtime } = statSync(path);
  writeMmdb(path, rowsOf('AR'));
  utimesSync(path, mtime, mtime);
  t.same(await geo.checkForUpdate(), RELOADED);
  t.equal(geo.country(client), 'AR');
});

t.test('a bad file leaves the old one serving, is told at each look, and a good one mends it', async (t) => {
  const { path, geo } = await opened(t);
  const bad: [string, string | Buffer][] = [
    ['empty', ''],
    ['garbage', 'no database'.repeat(1000)],
    ['truncated', encodeMmdb(rowsOf('AR')).subarray(0, -20)],
    ['without countries', encodeMmdb([{ network: '127.1.0.0/16', record: { asn: 1 } }])],
  ];
  for (const [what, bytes] of bad) {
    replace(path, bytes);
    const first = await geo.checkForUpdate();
    t.match(first, { kind: 'failed', message: /geo\.mmdb could not be loaded: it / }, what);
    t.equal(await geo.checkForUpdate(), first, 'told again, without another reading');
    t.equal(geo.country(client), 'BR');
  }
  writeMmdb(path, larger('AR'));
  t.same(await geo.checkForUpdate(), RELOADED);
  t.equal(geo.country(client), 'AR');
});

t.test('a file that is deleted, or no file any more, leaves the old one serving', async (t) => {
  const { path, geo } = await opened(t);
  renameSync(path, `${path}.away`);
  for (let look = 0; look < 2; look++) {
    t.match(await geo.checkForUpdate(), { kind: 'failed', message: /does not exist/ });
    t.equal(geo.country(client), 'BR');
  }
  writeMmdb(path, rowsOf('AR'));
  t.same(await geo.checkForUpdate(), RELOADED);
  rmSync(path);
  mkdirSync(path);
  t.match(await geo.checkForUpdate(), { kind: 'failed', message: /not a regular file/ });
  t.equal(geo.country(client), 'AR');
});

t.test('a file written in place during a look is served after the next one, whichever was first', async (t) => {
  const { path, geo } = await opened(t);
  for (const [country, rows] of [
    ['AR', larger('AR')],
    ['CL', rowsOf('CL')],
  ] as const) {
    const bytes = encodeMmdb(rows);
    writeFileSync(path, bytes.subarray(0, 600));
    const look = geo.checkForUpdate();
    writeFileSync(path, bytes);
    await look;
    const next = await geo.checkForUpdate();
    t.not(next.kind, 'failed');
    t.equal(geo.country(client), country);
  }
});

t.test('looks that overlap are one look', async (t) => {
  const { path, geo } = await opened(t);
  writeMmdb(path, rowsOf('AR'));
  t.same(await Promise.all([geo.checkForUpdate(), geo.checkForUpdate()]), [RELOADED, RELOADED]);
  t.same(await geo.checkForUpdate(), UNCHANGED);
});

t.test('a damaged record is no country, and is told once for each version', async (t) => {
  const path = join(t.testdir(), 'geo.mmdb');
  /** The record's type byte is turned into one that does not exist. */
  const damaged = (country: string) => {
    const bytes = encodeMmdb(rowsOf(country));
    const recordAt = bytes.indexOf('country_code') - 2;
    bytes.set([0x00, 0xf0], recordAt);
    return bytes;
  };
  replace(path, damaged('BR'));
  const problems: string[] = [];
  const geo = await MaxmindGeoResolver.open(path, (message) => problems.push(message));
  t.equal(geo.country(client), null);
  t.equal(geo.country(client), null);
  t.equal(problems.length, 1);
  t.match(problems[0], /geo\.mmdb holds a damaged record/);
  replace(path, damaged('AR'));
  t.same(await geo.checkForUpdate(), RELOADED);
  t.equal(geo.country(client), null);
  t.equal(problems.length, 2);
});
