import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { bundledGeoipPath } from '../src/adapters/outbound/maxmind/bundled.ts';
import { MaxmindGeoResolver } from '../src/adapters/outbound/maxmind/maxmind-geo-resolver.ts';
import { createProgram } from '../src/cli/program.ts';
import { VARIABLES } from '../src/config.ts';
import { parseAddress } from '../src/ip-address.ts';
import { freePort } from './bench/processes.ts';
import { CLEAN_ENV } from './fixtures/clean-env.ts';
import { ROOT, startProxy } from './fixtures/proxy.ts';

// What the README and the help say is held to what is so, where a test can hold it.
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const HELP = join(ROOT, 'src/help');
const topics = readdirSync(HELP).map((name) => readFileSync(join(HELP, name), 'utf8'));
const blocks = [...README.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block]) => block!);

t.test('it opens with two commands, and is a door: not long, and not wide', async (t) => {
  t.match(README, /^# edgeProxy\n\n```sh\nnpm ci && npm start .*\nnpm ci && npm test .*\n```\n/);
  const lines = README.split('\n');
  t.same(
    lines.filter((line) => line.length > 120),
    [],
  );
  t.ok(lines.length < 230, `${lines.length} lines`);
});

const skip = ['python3', 'curl', 'bash'].some((program) => spawnSync(program, ['--version']).error !== undefined);

t.test('its first block works as pasted', { skip: skip && 'it needs python3, curl and bash' }, async (t) => {
  const proxy = await startProxy(t, { env: { EDGEPROXY_DB_RELOAD_SECS: '86400' } });
  const pasted = blocks.find((block) => block.includes('http.server'))!;
  // On ports of our own: those of the README may be somebody's here.
  const block = pasted.replaceAll('9000', String(await freePort())).replaceAll(':8080/', `:${proxy.port}/`);
  const shell = spawn('bash', ['-c', `${block}\nstatus=$?; kill %1; exit $status`], {
    cwd: ROOT,
    env: {
      ...CLEAN_ENV,
      HOME: proxy.directory,
      EDGEPROXY_ADMIN_ADDR: proxy.admin.replace('http://', ''),
      EDGEPROXY_DB_PATH: proxy.dbPath,
    },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const exited = once(shell, 'exit');
  const said = await text(shell.stdout);
  t.same(await exited, [0, null], said);
  t.match(said, /^the running proxy has it: routing table \d+, 1 backend$/m, 'the edit is served');
  t.match(said, /^choice +here: the lowest score$/m, 'explain sees it');
  t.match(said, /^<!DOCTYPE HTML/im, 'and so does curl');
  t.match(said, /^ready +edgeProxy/m);
});

t.test('every address of the samples is one that GeoIP places, and where the text says', async (t) => {
  const geo = await MaxmindGeoResolver.open(bundledGeoipPath());
  const commands = createProgram().commands.map((command) => {
    let help = '';
    command
      .configureOutput({
        writeOut: (part) => {
          help += part;
        },
      })
      .outputHelp();
    return help;
  });
  const all = [README, ...topics, ...commands].join('\n');
  const found = new Set(
    [...all.matchAll(/(?<![\w.:])[0-9a-fA-F]*[.:][0-9a-fA-F.:]+(?![\w.])/g)]
      .map(([word]) => word.replace(/(?<=\.\d+):\d+$/, '').replace(/[.:]$/, ''))
      .filter((word) => isIP(word) > 0),
  );
  const isLocal = (address: string) => /^(127\.|10\.|0\.0\.0\.0$|::1?$)/.test(address);
  const documentation = /^(192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|2001:db8:)/i;
  const samples = [...found].filter((address) => !isLocal(address));
  t.ok(samples.includes('200.160.0.8'), 'they were found');
  t.same(
    samples.filter((address) => documentation.test(address)),
    [],
    'nobody is at home there',
  );
  for (const sample of samples) t.equal(geo.country(parseAddress(sample)!), 'BR', sample);
  t.match(README, 'which GeoIP places in Brazil');
});

t.test('its table of variables is the configuration', async (t) => {
  const rows = [...README.matchAll(/^\| `(EDGEPROXY_\w+|DEBUG)` \| (.*?) \|/gm)].map(([, name, byDefault]) => [
    name,
    byDefault,
  ]);
  const meanings = new Map(
    [...README.matchAll(/^\| `(\w+)` \| .*? \| (.*) \|$/gm)].map(([, name, text]) => [name, text]),
  );
  for (const [name, { expected, meaning }] of Object.entries(VARIABLES)) {
    // Of the others the README says the form.
    if (/whole number/.test(expected) && name !== 'EDGEPROXY_WORKERS')
      t.equal(meaning.slice(0, meanings.get(name)!.length), meanings.get(name), `${name}: the help says the same`);
  }
  const shown = ({ default: text }: { default: string }, name: string) =>
    text !== '' ? `\`${text}\`` : name === 'EDGEPROXY_GEOIP_PATH' ? 'bundled' : 'unset';
  t.same(
    rows,
    Object.entries(VARIABLES).map(([name, variable]) => [name, shown(variable, name)]),
  );
});
