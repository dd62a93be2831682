import { posix } from 'node:path';

/** A source file: its path from the root of the repository, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Files that wire everything up: they may import whatever they like, and nobody imports them. */
const ROOT =
  /^(?:src\/main\.ts|src\/start-primary\.ts|src\/modules\/(?!\w+\/variables\.ts$).+|src\/cli\.ts|src\/cli\/.+|workers\/proxy\.ts)$/;
const TASK = /^workers\/.+/;
/** One adapter: a folder below inbound, outbound or dataplane, or a single file there. */
const ADAPTER = /^src\/adapters\/(inbound|outbound|dataplane)\/([^/]+)(?=\/|$)/;

const DOMAIN = /^src\/domain\//;
const PORTS = /^src\/application\/ports\//;
const USE_CASES = /^src\/application\//;
const IPC = /^src\/ipc\//;
const CONFIG = /^src\/(?:config|variable|modules\/\w+\/variables)\.ts$/;
const ERRORS = /^src\/errors\.ts$/;
const EVERY = /^src\/every\.ts$/;
const ADDRESS = /^src\/ip-address\.ts$/;
const PRINTABLE = /^src\/printable\.ts$/;
const BUILT_IN = /^node:/;
/** Of the dependencies, by the name that is imported. */
const PACKAGE = /^(?!node:|src\/|workers\/|test\/|package\.json$)/;

/** What the files of each layer may import, beside themselves. The first pattern that fits a path says its layer. */
const RULES: readonly { readonly files: RegExp; readonly may: readonly RegExp[] }[] = [
  { files: ROOT, may: [/^src\//, /^package\.json$/, BUILT_IN, PACKAGE] },
  { files: DOMAIN, may: [DOMAIN] },
  { files: PORTS, may: [DOMAIN, PORTS] },
  { files: USE_CASES, may: [DOMAIN, USE_CASES, ERRORS, EVERY] },
  { files: IPC, may: [DOMAIN, IPC, ERRORS, EVERY, /^msgpackr$/, /^node:stream$/] },
  { files: /^src\/adapters\/inbound\//, may: [DOMAIN, USE_CASES, IPC, ERRORS, EVERY, ADDRESS, BUILT_IN, PACKAGE] },
  {
    files: /^src\/adapters\/(?:outbound|dataplane)\//,
    may: [DOMAIN, PORTS, IPC, ERRORS, EVERY, ADDRESS, PRINTABLE, BUILT_IN, PACKAGE],
  },
  { files: TASK, may: [DOMAIN, ERRORS, BUILT_IN, PACKAGE] },
  { files: CONFIG, may: [CONFIG, DOMAIN, ERRORS, ADDRESS, BUILT_IN] },
  { files: ERRORS, may: [] },
  { files: EVERY, may: [] },
  { files: PRINTABLE, may: [] },
  { files: ADDRESS, may: [DOMAIN, /^ipaddr\.js$/, /^node:net$/] },
];

/**
 * What of `files` the layering forbids, as sentences; none when all is well. `packages`: the names that may be imported,
 * which are the dependencies that an operator gets.
 */
export function layeringProblems(files: readonly SourceFile[], packages: readonly string[]): string[] {
  const problems: string[] = [];
  for (const { path, text } of files) {
    const rule = RULES.find((rule) => rule.files.test(path));
    if (rule === undefined) {
      problems.push(`${path} is in no layer`);
      continue;
    }
    const adapters = new Set<string>();
    for (const target of importsOf(path, text)) {
      const own = adapterOf(path);
      const other = adapterOf(target);
      if (PACKAGE.test(target) && !packages.includes(packageOf(target)))
        problems.push(`${path} imports ${target}, which is no dependency`);
      if (other !== null) adapters.add(other);
      // A file of the same adapter; or, for a task, of its one adapter.
      if (other !== null && (other === own || (rule.files === TASK && adapters.size === 1))) continue;
      if (!rule.may.some((may) => may.test(target))) problems.push(`${path} may not import ${target}`);
      else if (ROOT.test(target) && !isWithin(path, target))
        problems.push(`${path} imports ${target}, a composition root`);
    }
  }
  return [...problems, ...cycles(files)];
}

/** The paths and package names that a file imports, statically or not, types included. Paths are from the root. */
export function importsOf(path: string, text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  const forms = [
    /(?:^|[;}\n])\s*(?:import|export)\b[^'"`;=()]*?\bfrom\s*['"]([^'"]+)['"]/g,
    /(?:^|[;}\n])\s*import\s*['"]([^'"]+)['"]/g,
    /\b(?:import|require)\s*\(\s*['"]([^'"]+)['"]/g,
  ];
  const specifiers = forms.flatMap((form) => [...code.matchAll(form)].map(([, specifier]) => specifier!));
  return specifiers.map((specifier) =>
    specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : specifier,
  );
}

function adapterOf(path: string): string | null {
  return ADAPTER.exec(path)?.[0] ?? null;
}

/** Whether both files are parts of one composition root. */
function isWithin(path: string, target: string): boolean {
  const parts = [/^src\/cli(?:\.ts|\/)/, /^src\/(?:(?:main|start-primary)\.ts$|modules\/)/];
  return parts.some((part) => part.test(path) && part.test(target));
}

function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

/** Each cycle of imports once, as the path around it. */
function cycles(files: readonly SourceFile[]): string[] {
  const imports = new Map(files.map(({ path, text }) => [path, importsOf(path, text)]));
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]) => {
    if (trail.includes(path)) {
      found.push(`import cycle: ${[...trail.slice(trail.indexOf(path)), path].join(' -> ')}`);
      return;
    }
    if (done.has(path)) return;
    for (const target of imports.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of imports.keys()) visit(path, []);
  return found;
}
