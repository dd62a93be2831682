import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import packageJson from '../package.json' with { type: 'json' };
import { bundledGeoipPath } from '../src/adapters/outbound/maxmind/bundled.ts';
import { MaxmindGeoResolver } from '../src/adapters/outbound/maxmind/maxmind-geo-resolver.ts';
import { TOPIC_NAMES, topicText } from '../src/cli/help.ts';
import { createProgram } from '../src/cli/program.ts';
import { VARIABLES } from '../src/config.ts';
import { CLOSE_REASONS } from '../src/domain/close-reasons.ts';
import { PICK_REASONS, REFUSAL_REASONS } from '../src/domain/entities.ts';
import { ERRORS } from '../src/errors.ts';
import { parseAddress } from '../src/ip-address.ts';
import { freePort } from './bench/processes.ts';
import { CLEAN_ENV } from './fixtures/clean-env.ts';
import { documentedCommands, whatIsWrongWith } from './fixtures/documented-commands.ts';
import { ROOT, startProxy } from './fixtures/proxy.ts';

// What the README and the topics of the help say is held to what is so, where a test can hold it.
const HELP = 'src/help';
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
/** By path from the root. */
const texts = new Map([
  ['README.md', README],
  ...readdirSync(join(ROOT, HELP)).map((name): [string, string] => {
    return [`${HELP}/${name}`, readFileSync(join(ROOT, HELP, name), 'utf8')];
  }),
]);
const topic = (name: string) => texts.get(`${HELP}/${name}.md`)!;
const blocks = [...README.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block]) => block!);

/** Whatever `find` finds, with the text that it stands in. */
function mentions(find: RegExp): { where: string; what: string }[] {
  return [...texts].flatMap(([where, text]) =>
    [...text.matchAll(find)].map(([whole, part]) => ({ where, what: part ?? whole })),
  );
}

t.test('it opens with two commands, and is a door: not long, and not wide', async (t) => {
  t.match(README, /^# edgeProxy\n\n```sh\nnpm ci && npm start .*\nnpm ci && npm test .*\n```\n/);
  const lines = README.split('\n');
  t.same(
    lines.filter((line) => line.length > 120),
    [],
  );
  t.ok(lines.length < 180, `${lines.length} lines`);
});

t.test('the rest is in topics: each is a file, listed by the command, and linked', async (t) => {
  const files = readdirSync(join(ROOT, HELP));
  t.same(
    files.toSorted(),
    TOPIC_NAMES.filter((name) => name !== 'errors')
      .map((name) => `${name}.md`)
      .toSorted(),
  );
  const linked = [...README.matchAll(/^\| \[(\w+)\]\((.*?)\) \|/gm)].map(([, name, path]) => [name, path]);
  t.same(
    linked,
    TOPIC_NAMES.filter((name) => name !== 'errors').map((name) => [name, `${HELP}/${name}.md`]),
    'the table of the README has all, in order',
  );
  for (const [path, text] of texts) if (path !== 'README.md') t.match(text, /^# \w.*\n\n/, path);
});

t.test('every relative link leads to a file', async (t) => {
  const links = mentions(/\]\((?!https?:)([^)#\s]+)[^)]*\)/g);
  t.ok(links.length >= 12);
  for (const { where, what } of links) t.ok(existsSync(join(ROOT, dirname(where), what)), `${where}: ${what}`);
});

t.test('every command that is named is one that there is, with its options', async (t) => {
  const program = createProgram();
  for (const [where, text] of texts)
    for (const words of documentedCommands(text))
      t.equal(whatIsWrongWith(program, words), '', `${where}: edgeproxy ${words.join(' ')}`);
  t.ok(documentedCommands([...texts.values()].join('\n')).length > 60, 'they were found');
  t.not(whatIsWrongWith(program, ['workers', 'list', '--colour']), '');
  t.not(whatIsWrongWith(program, ['worker', 'list']), '');
  t.not(whatIsWrongWith(program, ['help', 'nothing']), '');
  const scripts = mentions(/\bnpm run ([\w:-]+)/g);
  t.ok(scripts.length > 5);
  for (const { where, what } of scripts) t.ok(Object.hasOwn(packageJson.scripts, what), `${where}: npm run ${what}`);
});

t.test('every variable and every error that is named is one that there is', async (t) => {
  for (const { where, what } of mentions(/EDGEPROXY_\w+/g)) t.ok(Object.hasOwn(VARIABLES, what), `${where}: ${what}`);
  for (const { where, what } of mentions(/EDGE_ERR_\w+/g)) t.ok(Object.hasOwn(ERRORS, what), `${where}: ${what}`);
});

t.test('the topic of the configuration has the variables as they are', async (t) => {
  t.equal(topic('configuration'), `${topicText('configuration', 80).join('\n')}\n`, 'as "edgeproxy help" says it');
});

t.test('every file that is named is there', async (t) => {
  const from = ['', 'src/', 'src/adapters/dataplane/epoll/', 'test/'];
  const paths = topic('inside').match(
    /(?<![\w./-])[\w-]+\/[\w./-]*\w\.(?:ts|mjs|c|h)\b|(?<![\w./-])(?:\w+\/)+(?=[\s`,])/g,
  )!;
  t.ok(paths.length > 50);
  for (const path of paths)
    t.ok(
      from.some((folder) => existsSync(join(ROOT, folder, path))),
      path,
    );
});

t.test('metrics and endpoints are those that a proxy has', async (t) => {
  const proxy = await startProxy(t, { rows: [{ id: 'one' }] });
  const scrape = await (await fetch(`${proxy.admin}/metrics`)).text();
  const real = [...scrape.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name!);
  const own = real.filter((name) => !name.startsWith('edgeproxy_primary_'));
  for (const name of own) t.ok(topic('metrics').includes(`\`${name}\``), `${name} is told of`);
  for (const { where, what } of mentions(/(?<![\w/])edgeproxy_(?!primary_\*)\w*\w/g))
    t.ok(
      real.some((name) => name === what || (what === 'edgeproxy_bindings' && name.startsWith(what))),
      `${where}: ${what}`,
    );

  const { endpoints } = (await (await fetch(`${proxy.admin}/`)).json()) as {
    endpoints: { method: string; path: string; query: string[]; body: string[] }[];
  };
  const told = topic('api');
  for (const { method, path, query, body } of endpoints) {
    t.match(told, new RegExp(`^- \`${method} ${path}[\`?]`, 'm'), `${method} ${path} is told of`);
    for (const name of query) t.match(told, new RegExp(`\\b${name}=`), `${path}: ${name}`);
    for (const name of body) t.ok(told.includes(`"${name}"`), `${path}: ${name}`);
  }
  t.equal([...told.matchAll(/^- `(?:GET|POST) /gm)].length, endpoints.length, 'and no others');
});

t.test('reasons and messages are those that there are', async (t) => {
  const ends = [...CLOSE_REASONS.filter((reason) => reason !== 'rejected'), 'worker_died'];
  for (const [reasons, name, heading] of [
    [PICK_REASONS, 'routing', 'Why a connection got its backend'],
    [REFUSAL_REASONS, 'metrics', 'Reasons of refusals'],
    [ends, 'metrics', 'Reasons of closes'],
  ] as const) {
    const told = sectionOf(topic(name), heading).match(/(?<=`)[a-z]+(?:_[a-z]+)*(?=`)/g) ?? [];
    t.same(new Set(told), new Set<string>(reasons), heading);
  }
  const code = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(join(ROOT, 'src', path), 'utf8'));
  const all = [...code, readFileSync(join(ROOT, 'workers/proxy.ts'), 'utf8')].join('\n');
  // One that ends in dots goes on in several ways.
  const quoted = [...sectionOf(topic('logs'), 'Everything else').matchAll(/"([^"]+)"/g)].map(([, what]) =>
    what!.replaceAll(/\s+/g, ' '),
  );
  t.ok(quoted.length > 15);
  const isSaid = (message: string) =>
    message.endsWith('...') ? all.includes(message.slice(0, -3)) : all.includes(`'${message}'`);
  for (const message of quoted) t.ok(isSaid(message), message);
});

/** From below its heading to the next one. */
function sectionOf(text: string, heading: string): string {
  return text.split(/^## /m).find((section) => section.startsWith(`${heading}\n`))!;
}

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
  const all = [...texts.values(), ...commands].join('\n');
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
