// Runs in: primary. The process, before its composition root (start-primary.ts) is loaded.
import './adapters/inbound/early-signals.ts';
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';
import packageJson from '../package.json' with { type: 'json' };

/**
 * Where Node keeps the compiled form of our code, by content: with it the primary starts in two thirds of the time, and
 * a worker in one third. A place that only those can write to who can change the code itself; a read-only one does no harm.
 */
const COMPILE_CACHE = fileURLToPath(new URL('../node_modules/.cache/edgeproxy', import.meta.url));

process.title = 'edgeproxy primary';
// Of what is loaded from here on, and in all processes and threads of ours.
process.env.NODE_COMPILE_CACHE ??= COMPILE_CACHE;
enableCompileCache();
const compositionRoot = () => import('./start-primary.ts');
try {
  const { readStartArguments } = await import('./adapters/inbound/start-arguments.ts');
  const { VARIABLES } = await import('./config.ts');
  const text = readStartArguments(process.argv.slice(2), { version: packageJson.version, variables: VARIABLES });
  if (text === null) await (await compositionRoot()).runPrimary();
  else process.stdout.write(text);
} catch (error) {
  await (await compositionRoot()).refuseToStart(error, null);
}
