// Runs in: cli
import type { Command, CommanderError } from 'commander';
import { EdgeError, messageOf } from '../errors.ts';
import { printable } from '../printable.ts';
import { toJson } from './output.ts';

/** Tells on stderr what went wrong, as `{"error":{"code","message"}}` with `json`; gives the exit code. */
export function reportFailure(error: unknown, json: boolean): number {
  const failure = asEdgeError(error);
  if (json) {
    process.stderr.write(`${toJson({ error: { code: failure.code, message: failure.message } })}\n`);
    return failure.exitCode;
  }
  // A defect is reported with its stack, which is what whoever mends it asks for first.
  const detail = failure.code === 'EDGE_ERR_INTERNAL' && error instanceof Error ? `\n${error.stack}` : '';
  const lines = `edgeproxy: ${failure.message}${detail}`.split('\n').map(printable);
  process.stderr.write(`${lines.join('\n')}\n`);
  return failure.exitCode;
}

/**
 * What the argument parser threw: `null` for help and version, which are no failures; EDGE_ERR_USAGE with a hint at the
 * help of the command that `args` were for.
 */
export function usageError(error: CommanderError, program: Command, args: readonly string[]): EdgeError | null {
  if (error.exitCode === 0) return null;
  const help = `${fullName(commandOf(program, args))} --help`;
  // "(outputHelp)": a group was named without one of its commands, and its help is on stderr already.
  const what = error.code === 'commander.help' ? 'a command is missing' : error.message.replace(/^error: /, '');
  return new EdgeError('EDGE_ERR_USAGE', `${what}\nsee: ${help}`, { cause: error });
}

function asEdgeError(error: unknown): EdgeError {
  return error instanceof EdgeError ? error : new EdgeError('EDGE_ERR_INTERNAL', messageOf(error), { cause: error });
}

function commandOf(program: Command, args: readonly string[]): Command {
  let command = program;
  for (const arg of args) {
    const found = command.commands.find((each) => each.name() === arg);
    if (found === undefined) break;
    command = found;
  }
  return command;
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}
