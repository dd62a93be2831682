import { spawnSync } from 'node:child_process';
import { isAbsolute } from 'node:path';

const ARCHITECTURES: Partial<Record<NodeJS.Architecture, string>> = { x64: 'x86_64', arm64: 'aarch64' };

export type Sanitizers =
  | { readonly libraries: readonly string[]; readonly missing: null }
  | { readonly libraries: null; readonly missing: string };

/**
 * The runtime libraries of the compiler's AddressSanitizer and UndefinedBehaviorSanitizer, to be loaded before a Node.js
 * that was built without them. `missing`: what there is none for.
 */
export function findSanitizers(compiler = process.env.CC ?? 'cc'): Sanitizers {
  if (spawnSync(compiler, ['--version']).status !== 0)
    return { libraries: null, missing: 'there is no C compiler (Debian: apt-get install build-essential)' };
  const runtimes = [
    // clang's: one library has both, and its name the architecture or not. First, because clang knows gcc's too.
    [`libclang_rt.asan-${ARCHITECTURES[process.arch] ?? process.arch}.so`],
    ['libclang_rt.asan.so'],
    ['libasan.so', 'libubsan.so'],
  ];
  for (const names of runtimes) {
    const libraries = names.map((name) => pathOf(compiler, name));
    if (libraries.every((path) => isAbsolute(path))) return { libraries, missing: null };
  }
  const install = 'Debian: apt-get install build-essential, or for clang libclang-rt-dev';
  return { libraries: null, missing: `${compiler} came without its sanitizers (${install})` };
}

/** A compiler answers with the name itself when it does not have that file. */
function pathOf(compiler: string, name: string): string {
  return spawnSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim();
}
