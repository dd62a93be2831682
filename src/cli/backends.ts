// Runs in: cli
import type { Command } from 'commander';
import { addBackendsAdd } from './backends-add.ts';
import { addBackendsDelete } from './backends-delete.ts';
import { addBackendsList } from './backends-list.ts';
import { addBackendsSet } from './backends-set.ts';
import { addBackendsSwitches } from './backends-switch.ts';

export function addBackends(program: Command): void {
  const group = program
    .command('backends')
    .description('list and edit the backends in the routing database; a running proxy follows by itself');
  addBackendsList(group);
  addBackendsAdd(group);
  addBackendsSet(group);
  addBackendsSwitches(group);
  addBackendsDelete(group);
}
