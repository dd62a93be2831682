type Write = (fields: Readonly<Record<string, unknown>>, message: string) => void;

/** Structured log. `message` is a constant of ours; whatever comes from outside stands in `fields`. */
export interface Log {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
}
