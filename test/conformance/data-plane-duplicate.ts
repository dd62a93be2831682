import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Test } from 'tap';
import type { Handle } from './data-plane-rig.ts';

/** Sends back every handle that it is sent, which makes the kernel duplicate its descriptor twice. */
const SOURCE = `process.on('message', (message, handle) => process.send(message, handle));`;

/** A second descriptor of the same socket, as a second worker would have one. */
export async function duplicate(t: Test, handle: Handle): Promise<Handle> {
  const echo = spawn(process.execPath, ['-e', SOURCE], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  t.teardown(() => echo.kill('SIGKILL'));
  // Node passes its own handles, which the type declarations do not know.
  echo.send('copy', handle as never, { keepOpen: true });
  const [, copy]: unknown[] = await once(echo, 'message');
  const gone = once(echo, 'exit');
  echo.disconnect();
  await gone;
  return copy as Handle;
}
