// Runs in: cli
import { VARIABLES, type Variable, type VariableName } from '../config.ts';
import { EdgeError } from '../errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

type SettingOf<Name extends VariableName> = Exclude<ReturnType<(typeof VARIABLES)[Name]['parse']>, undefined>;

/**
 * One variable, or its default. A command that needs one variable does not fail by another.
 * @throws EDGE_ERR_CONFIG
 */
export function setting<Name extends VariableName>(env: Environment, name: Name): SettingOf<Name> {
  const variable: Variable<unknown> = VARIABLES[name];
  const text = env[name] ?? variable.default;
  const value = variable.parse(text);
  if (value !== undefined) return value as SettingOf<Name>;
  const shown = name === 'EDGEPROXY_ADMIN_TOKEN' ? '(not shown)' : text.slice(0, 200);
  throw new EdgeError('EDGE_ERR_CONFIG', `${name}=${JSON.stringify(shown)}: may hold ${variable.expected}`);
}
