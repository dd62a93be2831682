// Runs in: primary, worker
import { EdgeError } from '../../errors.ts';

/** What EDGEPROXY_ENGINE may hold. */
export type WantedEngine = 'auto' | 'stream' | 'epoll';

/** `reason`: why the native engine cannot run here, for the operator. */
export type Loaded<Addon> =
  | { readonly addon: Addon; readonly reason: null }
  | { readonly addon: null; readonly reason: string };

/** `why`: for the operator. */
export type EngineChoice<Addon> =
  | { readonly engine: 'stream'; readonly why: string }
  | { readonly engine: 'epoll'; readonly why: string; readonly addon: Addon };

/**
 * Which engine holds the sockets. The primary asks so that it can refuse to start and say which one runs, each worker so
 * that it can make it.
 * @throws EDGE_ERR_CONFIG when `epoll` is wanted and cannot be loaded
 */
export function chooseEngine<Addon>(wanted: WantedEngine, load: () => Loaded<Addon>): EngineChoice<Addon> {
  if (wanted === 'stream') return { engine: 'stream', why: 'EDGEPROXY_ENGINE=stream' };
  const loaded = load();
  if (loaded.reason === null) {
    const why = wanted === 'epoll' ? 'EDGEPROXY_ENGINE=epoll' : 'the native engine is built and loads';
    return { engine: 'epoll', why, addon: loaded.addon };
  }
  if (wanted === 'auto') return { engine: 'stream', why: `no epoll engine: ${loaded.reason}` };
  throw new EdgeError(
    'EDGE_ERR_CONFIG',
    `EDGEPROXY_ENGINE=epoll, and the epoll engine cannot be loaded: ${loaded.reason}; with \`auto\` the stream engine takes its place`,
  );
}
