import type { ClientAddress } from '../../domain/client-address.ts';

/** What the first bytes of a client come to. */
export type Inspection =
  /** They do not suffice. */
  | { readonly kind: 'more' }
  /** They are not what the listener asks for: the client is turned away. */
  | { readonly kind: 'refuse' }
  | {
      readonly kind: 'done';
      /** Of the bytes, from the first on: these are not for the backend. */
      readonly skip: number;
      /** Whom the client speaks for; not there: for itself. */
      readonly address?: ClientAddress;
    };

/**
 * Looks at a client's first bytes before a backend is picked: PROXY protocol, a server name of TLS. Asked again, with all
 * bytes from the first on, when more have come. Keeps nothing: what one client sends is of no concern to the next.
 */
export type PrereadInspector = (bytes: Uint8Array) => Inspection;
