// Runs in: cli
import type { Command } from 'commander';
import type { BackendEditor, StoredBackend } from '../adapters/outbound/sqlite/backend-editor.ts';
import { storedRow } from './backend-text.ts';
import { addEditOptions, type EditOptions, runEdit } from './edit.ts';

interface Switch {
  readonly name: string;
  readonly description: string;
  readonly apply: (editor: BackendEditor, id: string) => StoredBackend;
  /** What was done. */
  readonly done: string;
}

const SWITCHES: readonly Switch[] = [
  {
    name: 'enable',
    description: 'mark a backend healthy: it gets clients again',
    apply: (editor, id) => editor.enable(id),
    done: 'enabled',
  },
  {
    name: 'disable',
    description: 'mark a backend unhealthy: no new connections, its clients are bound elsewhere; open ones go on',
    apply: (editor, id) => editor.disable(id),
    done: 'disabled',
  },
  {
    name: 'remove',
    description:
      'mark a backend deleted: as disable does, and "enable" is not enough; "backends set <id> --restore" brings it back',
    apply: (editor, id) => editor.remove(id),
    done: 'removed',
  },
];

/** The commands that turn one thing on or off. */
export function addBackendsSwitches(group: Command): void {
  for (const each of SWITCHES) {
    const command = group
      .command(each.name)
      .argument('<id>', 'the backend')
      .description(each.description)
      .action((id: string, options: EditOptions) => run(each, id, options));
    addEditOptions(command);
  }
}

function run({ apply, done }: Switch, id: string, options: EditOptions): Promise<void> {
  return runEdit(options, {
    work: (editor) => apply(editor, id),
    value: (stored) => ({ backend: storedRow(stored) }),
    lines: (stored) => [`${done} ${id}`, ...remarks(stored, done)],
  });
}

/** What keeps a backend from serving although it was enabled. */
function remarks({ backend, problem, id }: StoredBackend, done: string): readonly string[] {
  if (problem !== null) {
    return [`but the proxy skips the row: ${problem.column} is ${problem.value}: expected ${problem.expected}`];
  }
  if (done !== 'enabled') return [];
  if (backend?.deleted) return [`but it is removed: bring it back with "backends set ${id} --restore"`];
  return backend?.weight === 0 ? ['but its weight is 0: it takes no new clients'] : [];
}
