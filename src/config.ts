import { EdgeError } from './errors.ts';
import { ADMIN_VARIABLES, adminProblem } from './modules/admin/variables.ts';
import { BINDINGS_VARIABLES } from './modules/bindings/variables.ts';
import { BOOKS_VARIABLES } from './modules/books/variables.ts';
import { GEOIP_VARIABLES } from './modules/geoip/variables.ts';
import { LOG_VARIABLES } from './modules/log/variables.ts';
import { PORTS_VARIABLES } from './modules/ports/variables.ts';
import { PROCESS_VARIABLES } from './modules/process/variables.ts';
import { ROUTING_VARIABLES } from './modules/routing/variables.ts';
import { WORKERS_VARIABLES } from './modules/workers/variables.ts';
import { type ConfigProblem, INTERNAL, PREFIX, type Variable } from './variable.ts';

export type { AdminAddress } from './modules/admin/variables.ts';
export type { Variable } from './variable.ts';

/** The variables of all modules, in the order in which people read about them. */
export const VARIABLES = {
  ...PORTS_VARIABLES,
  ...ROUTING_VARIABLES,
  ...BOOKS_VARIABLES,
  ...GEOIP_VARIABLES,
  ...BINDINGS_VARIABLES,
  ...WORKERS_VARIABLES,
  ...PROCESS_VARIABLES,
  ...ADMIN_VARIABLES,
  ...LOG_VARIABLES,
} as const satisfies Record<string, Variable<unknown>>;

type Variables = typeof VARIABLES;
export type VariableName = keyof Variables;
type ValueOf<Name extends VariableName> = Exclude<ReturnType<Variables[Name]['parse']>, undefined>;

/**
 * Everything that an operator can choose, validated, by the variables' fields. Times are in ms whatever unit their variable
 * has.
 */
export type Config = { readonly [Name in VariableName as Variables[Name]['field']]: ValueOf<Name> };

export type Environment = Readonly<Record<string, string | undefined>>;

const NAMES = Object.keys(VARIABLES) as VariableName[];

/**
 * Reads the configuration from an environment. Unset means the default.
 * @throws EDGE_ERR_CONFIG with one message that lists every wrong variable, what it holds, and what it may hold
 */
export function readConfig(env: Environment): Config {
  const problems: ConfigProblem[] = [];
  const fields = NAMES.map((name) => {
    const variable: Variable<unknown> = VARIABLES[name];
    const text = env[name] ?? variable.default;
    const value = variable.parse(text);
    if (value === undefined) problems.push({ name, value: shown(variable, text), expected: variable.expected });
    return [variable.field, value];
  });
  const config = Object.fromEntries(fields) as Config;
  const problem = adminProblem(config.admin, config.adminToken);
  if (problem !== null) problems.push({ ...problem, value: env[problem.name] ?? '' });
  if (problems.length > 0) throw new EdgeError('EDGE_ERR_CONFIG', describeProblems(problems));
  return Object.freeze(config);
}

/**
 * One variable, or its default. What needs one variable does not fail by another.
 * @throws EDGE_ERR_CONFIG
 */
export function readVariable<Name extends VariableName>(env: Environment, name: Name): ValueOf<Name> {
  const variable: Variable<unknown> = VARIABLES[name];
  const text = env[name] ?? variable.default;
  const value = variable.parse(text);
  if (value !== undefined) return value as ValueOf<Name>;
  throw new EdgeError('EDGE_ERR_CONFIG', describe({ name, value: shown(variable, text), expected: variable.expected }));
}

/** Every variable as it is in force. A secret is named, never shown. */
export function effectiveVariables(
  env: Environment,
): Record<VariableName, { readonly value: string; readonly source: 'environment' | 'default' }> {
  const entries = NAMES.map((name) => {
    const { default: byDefault, isSecret }: Variable<unknown> = VARIABLES[name];
    const given = env[name];
    const value = given ?? byDefault;
    const told = isSecret === true && value !== '' ? '(set, not shown)' : value;
    return [name, { value: told, source: given === undefined ? 'default' : 'environment' }];
  });
  return Object.fromEntries(entries);
}

/** Variables with our prefix that we do not know: most likely misspelt. */
export function unknownVariables(env: Environment): string[] {
  return Object.keys(env).filter(
    (name) => name.startsWith(PREFIX) && !Object.hasOwn(VARIABLES, name) && !INTERNAL.includes(name),
  );
}

function shown({ isSecret }: Variable<unknown>, text: string): string {
  return isSecret === true ? '(not shown)' : text.slice(0, 200);
}

function describe({ name, value, expected }: ConfigProblem): string {
  return `${name}=${JSON.stringify(value)}: may hold ${expected}`;
}

function describeProblems(problems: readonly ConfigProblem[]): string {
  const lines = problems.map((problem) => `  ${describe(problem)}`);
  return `the configuration is wrong in ${problems.length} place${problems.length === 1 ? '' : 's'}:\n${lines.join('\n')}`;
}
