import type { ListenerSpec, PrereadSpec } from '../domain/listener-spec.ts';

/** Raised when a field comes to mean another thing. A new one needs no other version: who does not know it refuses it. */
export const SPEC_VERSION = 1;

type Fields = Readonly<Record<string, unknown>>;

const KNOWN: ReadonlySet<string> = new Set(['name', 'host', 'port', 'app', 'preread']);

const MAX_TEXT = 255;

/**
 * The listener that a primary, perhaps of an older release, sent, or why this worker cannot serve it. Other than in the
 * configuration nothing is passed over: a listener that is to speak TLS, served without, would be worse than none.
 */
export function readListenerSpec(version: unknown, given: unknown): ListenerSpec | string {
  if (version !== SPEC_VERSION)
    return `the primary's listeners are of version ${JSON.stringify(version)}, and this worker's of ${SPEC_VERSION}: stop and start the proxy to change the version`;
  if (!isObject(given) || !isText(given.name)) return 'the primary sent a listener without a name';
  const { name, host, port, app, preread } = given;
  const unknown = Object.keys(given).filter((field) => !KNOWN.has(field));
  if (unknown.length > 0) return `listener ${name} asks for ${unknown.join(', ')}, which this release does not know`;
  if (!isText(host) || !isText(app) || !isWithin(port, 0, 65_535)) return `listener ${name} has no address, or no app`;
  if (preread === undefined) return { name, host, port, app };
  if (!isPreread(preread)) return `listener ${name} asks for a preread of no size, or no time`;
  return { name, host, port, app, preread: { maxBytes: preread.maxBytes, timeoutMs: preread.timeoutMs } };
}

function isPreread(value: unknown): value is PrereadSpec {
  return isObject(value) && isWithin(value.maxBytes, 1, Infinity) && isWithin(value.timeoutMs, 1, Infinity);
}

function isWithin(value: unknown, least: number, most: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}
