import type { Listener } from './entities.ts';

/**
 * A listener as a value: its name, address and app, and what is done with its clients beside passing them on. What comes to
 * listeners (PROXY protocol, TLS, limits of their own) is a field here, and travels to the workers with their socket.
 */
export interface ListenerSpec extends Listener {
  /** It looks at a client's first bytes before it picks. */
  readonly preread?: PrereadSpec;
}

export interface PrereadSpec {
  /** So many at most are looked at. */
  readonly maxBytes: number;
  /** For all of the look, from the accept on. */
  readonly timeoutMs: number;
}
