// Runs in: a thread of the primary, as long as that lives. Writes the log; see src/adapters/outbound/log/log-stream.ts.
import { parentPort, workerData } from 'node:worker_threads';
import { LogRing } from '../src/adapters/outbound/log/log-ring.ts';
import { LogWriter } from '../src/adapters/outbound/log/log-writer.ts';
import type { WriterSetup } from '../src/adapters/outbound/log/writer-setup.ts';

/** Lines that need not be seen at once gather for so long. In ms. */
const GATHER_MS = 200;
/** For the primary to write the last lines by itself. In ms. */
const TURN_MS = 1000;

const { shared, fd, options, names } = workerData as WriterSetup;
const ring = new LogRing(shared);
const writer = new LogWriter(ring, fd, options, names);
let told = 0;

for (;;) {
  ring.sleep(GATHER_MS);
  if (!ring.acquire(TURN_MS)) continue;
  ring.calmDown();
  while (writer.writeBlock());
  ring.release();
  if (ring.lost === told || !writer.isThrough) continue;
  // Lines come through again: it can be said now how many did not.
  told = ring.lost;
  parentPort?.postMessage('through');
}
