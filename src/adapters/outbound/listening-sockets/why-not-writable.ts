// Runs in: primary, cli
import { accessSync, constants, statSync } from 'node:fs';
import { codeOf, messageOf } from '../../../errors.ts';

/** Whether a file may be made in `directory`: why not, or `null`. */
export function whyNotWritable(directory: string): string | null {
  try {
    if (!statSync(directory).isDirectory()) return `${directory} is no directory`;
    accessSync(directory, constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return `the directory ${directory} does not exist`;
    return code === 'EACCES' ? `this user may not write to the directory ${directory}` : messageOf(error);
  }
}
