// A thread, started by log-stream.test.ts: dies the first time, and is the real one the next.
import { existsSync, writeFileSync } from 'node:fs';

const mark = process.env.DIED!;
if (!existsSync(mark)) {
  writeFileSync(mark, '');
  throw new Error('it dies');
}
await import('../../../../workers/write-log.ts');
