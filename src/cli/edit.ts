// Runs in: cli
import { existsSync, realpathSync } from 'node:fs';
import type { Command } from 'commander';
import type { BackendEditor, StoredBackend } from '../adapters/outbound/sqlite/backend-editor.ts';
import { ADMIN_FLAGS, ADMIN_TEXT } from './admin-options.ts';
import { show } from './output.ts';
import { addRoutingFileOptions, type RoutingFileOptions, reloadSecs, routingFile, withEditor } from './routing-file.ts';
import { describeTold, proxyToTell } from './tell-proxy.ts';

/** What every command that writes to the routing database takes. */
export interface EditOptions extends RoutingFileOptions {
  readonly admin?: string;
  /** False with `--no-wait`. */
  readonly wait?: boolean;
}

export function addEditOptions(command: Command): Command {
  addRoutingFileOptions(command);
  return command
    .option(ADMIN_FLAGS, ADMIN_TEXT)
    .option('--no-wait', 'do not ask the running proxy to look at the change now');
}

export interface Edit {
  readonly create?: boolean;
  readonly refuseLoops?: boolean;
  readonly work: (editor: BackendEditor) => StoredBackend;
  /** For programs. */
  readonly value: (stored: StoredBackend) => object;
  /** For people: what was done. */
  readonly lines: (stored: StoredBackend) => readonly string[];
}

/** Writes, has the running proxy look at once, and says what came of both. */
export async function runEdit(options: EditOptions, { work, value, lines, ...use }: Edit): Promise<void> {
  // Both before anything is written: a mistake in the call leaves the file as it was.
  const tell = proxyToTell(options);
  const secs = reloadSecs();
  const path = routingFile(options, process.env);
  const created = !existsSync(path);
  const stored = withEditor({ ...options, ...use }, work);
  const database = realpathSync(path);
  const proxy = await tell(database);
  show(options.json ?? false, { ...value(stored), database, created, reload_secs: secs, proxy }, () => [
    ...lines(stored),
    `${created ? 'created the ' : ''}routing database ${database}`,
    describeTold(proxy, secs),
  ]);
}
