// Runs in: cli
import type { Command } from 'commander';
import { addWorkersList } from './workers-list.ts';
import { addWorkersRoll } from './workers-roll.ts';
import { addWorkersScale } from './workers-scale.ts';

export function addWorkers(program: Command): void {
  const group = program
    .command('workers')
    .description('list, replace and scale the worker processes of the running proxy');
  addWorkersList(group);
  addWorkersRoll(group);
  addWorkersScale(group);
}
