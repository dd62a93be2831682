// A process of its own, started by micro-rows.ts with --expose-gc: nothing else moves its heap.
import { costOfConnection } from './micro.ts';

process.stdout.write(JSON.stringify(await costOfConnection()));
