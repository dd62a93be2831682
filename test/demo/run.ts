// The demo: `npm run demo`. Real processes on loopback, in a directory of its own; nothing is left when it ends.
// Exit code 0 only if everything that it tells was so.
import { messageOf } from '../../src/errors.ts';
import { Narrator } from './narrator.ts';
import { Stage } from './stage.ts';
import { Story } from './story.ts';

/** Far beyond its usual ten seconds or so. In ms. */
const PATIENCE_MS = 90_000;
/** By convention, 128 and the signal's number. */
const INTERRUPTS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

const NEXT = `
Now for real, from this directory:
   npm start                                 the proxy on 0.0.0.0:8080, with routing.db here; Ctrl-C drains and stops
   npx edgeproxy backends add my-backend --region sa --country BR --host 10.0.0.5 --port 8080
   npx edgeproxy explain 200.160.0.8
                                             which backend a client gets, and why
   npx edgeproxy --help                      every other command
   npx pm2 start ecosystem.config.cjs        the proxy as a service
`;

const started = performance.now();
const narrator = new Narrator();
const stage = new Stage();

let interrupt = 0;
const ended = new Promise<never>((_, reject) => {
  for (const [signal, code] of Object.entries(INTERRUPTS)) {
    // Every time: npm passes on a Ctrl-C that we have heard already, and clearing up must not be cut short by it.
    process.on(signal, () => {
      interrupt ||= code;
      reject(new Error(signal));
    });
  }
  setTimeout(() => reject(new Error(`not done after ${PATIENCE_MS / 1000} s`)), PATIENCE_MS).unref();
});

let exitCode = 0;
let failure = '';
try {
  narrator.title('edgeProxy: a demo on loopback with real processes. It clears up after itself; Ctrl-C ends it.');
  await Promise.race([new Story(stage, narrator).tell(), ended, stage.broken]);
} catch (error) {
  exitCode = interrupt || 1;
  failure = messageOf(error);
}
// What was under way when it failed goes on failing; nobody wants to read that.
narrator.mute();
await stage.clear();
if (exitCode === 1) {
  // The cause often shows only now: a request to a proxy that died fails before its death is known.
  const symptoms = stage.symptoms().map((line) => `   ${line}\n`);
  process.stderr.write(`\nThe demo failed: ${failure}\n${symptoms.join('')}`);
}
if (exitCode === 0) {
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(
    `\nAll of this was checked while it was told, in ${seconds} s; no process and no file is left.\n${NEXT}`,
  );
}
process.exit(exitCode);
