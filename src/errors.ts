/**
 * Every error that edgeProxy raises by itself: its code, the exit code of a process that ends by it, and what it means.
 * Callers match codes, never messages.
 */
export const ERRORS = {
  EDGE_ERR_CONFIG: { exitCode: 2, meaning: 'an environment variable holds a value that it may not hold' },
  EDGE_ERR_USAGE: { exitCode: 2, meaning: 'a command was called with arguments that it does not take' },
  EDGE_ERR_LISTEN: { exitCode: 3, meaning: 'a listening address could not be bound' },
  EDGE_ERR_ADMIN_LISTEN: { exitCode: 3, meaning: 'the admin address could not be bound' },
  EDGE_ERR_GEOIP: { exitCode: 4, meaning: 'the GeoIP database could not be read' },
  EDGE_ERR_DB_MISSING: { exitCode: 4, meaning: 'the routing database does not exist' },
  EDGE_ERR_DB_UNREADABLE: { exitCode: 4, meaning: 'the routing database could not be opened or read' },
  EDGE_ERR_DB_LOCKED: { exitCode: 4, meaning: 'another process holds the routing database locked' },
  EDGE_ERR_DB_SCHEMA: { exitCode: 4, meaning: 'the routing database lacks the backends table or one of its columns' },
  EDGE_ERR_BACKEND_INVALID: { exitCode: 2, meaning: 'a backend has a value that it may not have' },
  EDGE_ERR_BACKEND_EXISTS: { exitCode: 5, meaning: 'a backend of that id exists' },
  EDGE_ERR_BACKEND_UNKNOWN: { exitCode: 5, meaning: 'there is no backend of that id' },
  EDGE_ERR_PLATFORM: { exitCode: 6, meaning: 'this Node.js lacks something that edgeProxy needs' },
  EDGE_ERR_CHANNEL: { exitCode: 7, meaning: 'a frame between primary and worker was malformed or too large' },
  EDGE_ERR_PROTOCOL: { exitCode: 7, meaning: 'primary and worker speak different versions of the channel protocol' },
  EDGE_ERR_WORKER_START: { exitCode: 8, meaning: 'a worker did not come to accept connections' },
  EDGE_ERR_BUSY: { exitCode: 8, meaning: 'a roll is under way, or the proxy is stopping' },
  EDGE_ERR_ADMIN_UNREACHABLE: { exitCode: 9, meaning: 'the admin API of the running proxy could not be reached' },
  EDGE_ERR_ADMIN_REFUSED: { exitCode: 9, meaning: 'the admin API answered with an error' },
  EDGE_ERR_OVERLOADED: {
    exitCode: 9,
    meaning: 'the admin API has as many requests or large answers under way as it may',
  },
  EDGE_ERR_INTERNAL: { exitCode: 1, meaning: 'a defect in edgeProxy: please report it' },
} as const satisfies Record<string, { readonly exitCode: number; readonly meaning: string }>;

export type ErrorCode = keyof typeof ERRORS;

export class EdgeError extends Error {
  readonly code: ErrorCode;

  /** `message` is for the person who has to act: what is wrong, what was expected, what to do. */
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'EdgeError';
    this.code = code;
  }

  get exitCode(): number {
    return ERRORS[this.code].exitCode;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a system or library error, or `''`. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}
