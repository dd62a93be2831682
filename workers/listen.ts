// Runs in: a process of its own, for a moment; see claim-addresses.ts. Puts the sockets that it inherits, from descriptor 3
// on, into the listening state. Arguments: how many there are, and the backlog. Prints, as JSON, 0 or an errno for each.
import { writeSync } from 'node:fs';
import net from 'node:net';
import { constants } from 'node:os';

type Adopt = (host: null, port: null, family: null, fd: number) => { listen(backlog: number): number } | number;

const FIRST_FD = 3;
/**
 * Of two processes that begin to listen on overlapping addresses in the same instant Linux may refuse both, since each
 * sees the other on its way there. Whoever is refused tries again, after a pause of its own length.
 */
const ATTEMPTS = 4;
const MAX_PAUSE_MS = 30;

const adopt = (net as unknown as { _createServerHandle: Adopt })._createServerHandle;
const pause = new Int32Array(new SharedArrayBuffer(4));

function listen(fd: number, backlog: number): number {
  const handle = adopt(null, null, null, fd);
  if (typeof handle === 'number') return -handle;
  for (let attempt = 1; ; attempt++) {
    const errno = -handle.listen(backlog);
    if (errno !== constants.errno.EADDRINUSE || attempt === ATTEMPTS) return errno;
    Atomics.wait(pause, 0, 0, 1 + Math.random() * MAX_PAUSE_MS);
  }
}

const [count, backlog] = process.argv.slice(2).map(Number);
const results = Array.from({ length: count! }, (_, i) => listen(FIRST_FD + i, backlog!));
writeSync(1, JSON.stringify(results));
// In the same turn: libuv would accept, and swallow, clients as soon as this process's loop looked at its sockets.
process.exit(0);
