// Runs in: cli
import type { Command } from 'commander';
import { EdgeError } from '../errors.ts';
import { wholeNumber } from './arguments.ts';
import { askYesNo } from './ask.ts';
import { describeStored, storedRow } from './backend-text.ts';
import { addEditOptions, type EditOptions, runEdit } from './edit.ts';
import { withEditor } from './routing-file.ts';

interface DeleteOptions extends EditOptions {
  readonly yes?: boolean;
  readonly rowid?: number;
}

export function addBackendsDelete(group: Command): void {
  const command = group
    .command('delete')
    .argument('[id]', 'the backend')
    .description('delete the row of a backend for good; "backends remove" keeps it')
    .option('--rowid <n>', 'the row of this number, for one whose id is no text; "backends list" shows it', wholeNumber)
    .option('--yes', 'do not ask')
    .action(remove);
  addEditOptions(command);
}

async function remove(id: string | undefined, options: DeleteOptions): Promise<void> {
  const { rowid } = options;
  if ((id === undefined) === (rowid === undefined)) {
    throw new EdgeError('EDGE_ERR_USAGE', 'name the backend to delete: either its id or --rowid <n>');
  }
  const name = id ?? `row ${rowid}`;
  if (!options.yes) {
    // Before the question: nobody should be asked about a backend that does not exist.
    const known = id === undefined ? null : withEditor(options, (editor) => editor.get(id));
    await confirm(known === null ? name : `${name} (${describeStored(known)})`);
  }
  await runEdit(options, {
    work: (editor) => (id === undefined ? editor.deleteRow(Number(rowid)) : editor.delete(id)),
    value: (stored) => ({ deleted: storedRow(stored) }),
    lines: () => [`deleted ${name}`],
  });
}

async function confirm(what: string): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new EdgeError('EDGE_ERR_USAGE', `deleting ${what} cannot be undone: add --yes, or use "backends remove"`);
  }
  const yes = await askYesNo(`delete ${what} for good?`, process.stdin, process.stderr);
  if (!yes) throw new EdgeError('EDGE_ERR_USAGE', 'not confirmed: nothing was deleted');
}
