// Runs in: worker
import { type Dial, MAX_PREFIX_BYTES } from '../../../application/ports/data-plane.ts';
import type { ClientPreread } from './client-preread.ts';
import { isEndpoint } from './endpoint.ts';
import { isTcpHandle } from './node-internals.ts';

/** Why a client with that preread cannot get a backend in this way, as an errno's name; '': it can. */
export function dialProblem(dial: Dial, preread: ClientPreread | null): '' | 'EINVAL' | 'ENOTCONN' {
  const { to, socket, prefix, skip = 0 } = dial;
  if ((prefix?.length ?? 0) > MAX_PREFIX_BYTES || !(preread?.canSkip(skip) ?? skip === 0)) return 'EINVAL';
  if (to !== undefined) return isEndpoint(to) ? '' : 'EINVAL';
  if (!isTcpHandle(socket)) return 'EINVAL';
  return socket.getpeername({}) === 0 ? '' : 'ENOTCONN';
}
