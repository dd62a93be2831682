// A process of its own, started by micro-rows.ts with --expose-gc: nothing else moves its heap.
import { bytesPerBinding } from './micro.ts';

process.stdout.write(String(bytesPerBinding()));
