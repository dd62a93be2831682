import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { importsOf, layeringProblems, type SourceFile } from './import-rules.ts';

const ROOT = join(import.meta.dirname, '..');
const MAX_LINES = 300;

const paths = globSync(['src/**/*.ts', 'workers/**/*.ts'], { cwd: ROOT }).map((path) => path.replaceAll('\\', '/'));
const files: SourceFile[] = paths.map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
};

t.test('imports go inward only', async (t) => {
  t.ok(files.length > 50, 'the sources were found');
  t.same(layeringProblems(files, Object.keys(dependencies)), []);
});

t.test('use cases and adapters say in their first line where they run', async (t) => {
  const silent = files.filter(
    ({ path, text }) =>
      (/^src\/adapters\//.test(path) ||
        /^src\/application\/[^/]+$/.test(path) ||
        /^src\/modules\//.test(path) ||
        /^workers\//.test(path)) &&
      !/^\/\/ Runs in: \S/.test(text),
  );
  t.same(
    silent.map(({ path }) => path),
    [],
  );
});

t.test(`no source file is longer than ${MAX_LINES} lines`, async (t) => {
  const long = files.filter(({ text }) => text.split('\n').length - 1 > MAX_LINES);
  t.same(
    long.map(({ path }) => path),
    [],
  );
});

/** The text of programs that a test writes for itself included, which is where it was overlooked. */
t.test('nothing prints through console, which colours numbers on a terminal and with FORCE_COLOR', async (t) => {
  const programs = globSync(['src/**/*.{ts,mjs}', 'workers/**/*.ts', 'test/**/*.ts'], { cwd: ROOT });
  t.ok(programs.length > files.length, 'the tests were found');
  t.same(
    programs.filter((path) => /\bconsole\.\w+\(/.test(readFileSync(join(ROOT, path), 'utf8'))),
    [],
  );
});

/** One file that imports one thing. */
const one = (path: string, specifier: string): SourceFile[] => [{ path, text: `import { x } from '${specifier}';\n` }];

const FORBIDDEN: readonly (readonly [path: string, specifier: string])[] = [
  ['src/domain/hash.ts', 'node:crypto'],
  ['src/domain/hash.ts', 'msgpackr'],
  ['src/domain/services/pick.ts', '../../errors.ts'],
  ['src/domain/hash.ts', '../application/ports/clock.ts'],
  ['src/application/ports/clock.ts', '../../errors.ts'],
  ['src/application/ports/clock.ts', '../proxy-service.ts'],
  ['src/application/serve.ts', 'node:net'],
  ['src/application/serve.ts', '../ipc/messages.ts'],
  ['src/application/serve.ts', '../adapters/outbound/pino-log.ts'],
  ['src/application/serve.ts', '../ip-address.ts'],
  ['src/application/serve.ts', '../config.ts'],
  ['src/ipc/codec.ts', 'pino'],
  ['src/ipc/codec.ts', 'node:net'],
  ['src/ipc/codec.ts', '../application/ports/clock.ts'],
  ['src/adapters/outbound/pino-log.ts', '../../application/proxy-service.ts'],
  ['src/adapters/outbound/pino-log.ts', './channel-picker.ts'],
  ['src/adapters/outbound/pino-log.ts', './sqlite/read.ts'],
  ['src/adapters/outbound/sqlite/read.ts', '../maxmind/country-of.ts'],
  ['src/adapters/outbound/sqlite/read.ts', '../../inbound/signals.ts'],
  ['src/adapters/outbound/pino-log.ts', '../../config.ts'],
  ['src/adapters/inbound/signals.ts', '../outbound/pino-log.ts'],
  ['src/adapters/inbound/signals.ts', '../../main.ts'],
  ['src/adapters/inbound/signals.ts', '../../modules/module.ts'],
  ['src/application/serve.ts', '../modules/module.ts'],
  ['src/adapters/dataplane/stream/side.ts', '../epoll/side.ts'],
  ['src/adapters/dataplane/stream/side.ts', '../../../application/serve-connections.ts'],
  ['src/adapters/outbound/pino-log.ts', 'left-pad'],
  ['src/adapters/outbound/pino-log.ts', '@types/node'],
  ['src/errors.ts', './domain/hash.ts'],
  ['src/ip-address.ts', './errors.ts'],
  ['src/config.ts', './application/ports/clock.ts'],
  ['src/main.ts', '../test/fixtures/until.ts'],
  ['src/main.ts', './cli.ts'],
  ['src/start-primary.ts', './cli.ts'],
  ['src/cli.ts', './start-primary.ts'],
  ['workers/load.ts', '../src/application/proxy-service.ts'],
  ['workers/load.ts', '../src/main.ts'],
  ['src/stray.ts', './errors.ts'],
];

t.test('what the rules forbid is found', async (t) => {
  const packages = Object.keys(dependencies);
  for (const [path, specifier] of FORBIDDEN)
    t.equal(layeringProblems(one(path, specifier), packages).length, 1, `${path} imports ${specifier}`);
  const twoAdapters = {
    path: 'workers/load.ts',
    text: "import { a } from '../src/adapters/outbound/sqlite/read.ts';\nimport { b } from '../src/adapters/outbound/pino-log.ts';\n",
  };
  t.equal(layeringProblems([twoAdapters], packages).length, 1, 'a task with two adapters');
});

t.test('an import cycle is found, through types too', async (t) => {
  const cycle = [
    { path: 'src/domain/a.ts', text: "import { b } from './b.ts';\n" },
    { path: 'src/domain/b.ts', text: "import type { C } from './c.ts';\n" },
    { path: 'src/domain/c.ts', text: "export { a } from './a.ts';\n" },
  ];
  t.match(layeringProblems(cycle, []), [/a\.ts -> .*b\.ts -> .*c\.ts -> .*a\.ts/]);
  t.same(layeringProblems(cycle.slice(1), []), []);
});

t.test('every form of an import is read, and no other text is', async (t) => {
  const text = `// Runs in: primary
import a from './a.ts';
import type { B } from "./b.ts";
import {
  c,
  type C,
} from './c.ts';
import * as d from './d.ts';
import './e.ts';
export { f } from './f.ts';
export * from './g.ts';
const h = await import('./h.ts');
const url = new URL('./worker.ts', import.meta.url);
// import x from './commented.ts';
/* import y from './commented.ts'; */
const sentence = 'we import it from "./text.ts"';
`;
  t.same(
    importsOf('src/x.ts', text).sort(),
    ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => `src/${name}.ts`),
  );
});
