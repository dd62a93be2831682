// Runs in: primary, cli
import type { Listener } from '../../domain/entities.ts';
import { formatEndpoint } from '../../ip-address.ts';
import { parseEndpoint, variable } from '../../variable.ts';

export const PORTS_VARIABLES = {
  EDGEPROXY_LISTEN_ADDR: variable(
    'listeners',
    '0.0.0.0:8080',
    'one or more `ip:port[=app]`, comma-separated, IPv6 in brackets, each address once',
    'where clients connect; `=app` restricts a listener to the backends of one app',
    parseListeners,
  ),
};

function parseListeners(text: string): readonly Listener[] | undefined {
  const listeners = text.split(',').map(parseListener);
  const complete = listeners.filter((listener) => listener !== undefined);
  // Port 0, any free one, may be asked for several times.
  const named = complete.filter((listener) => listener.port !== 0);
  const distinct = new Set(named.map((listener) => listener.name)).size === named.length;
  return complete.length === listeners.length && distinct ? complete : undefined;
}

function parseListener(text: string): Listener | undefined {
  const [address = '', app = '', ...more] = text.trim().split('=');
  const endpoint = parseEndpoint(address);
  if (endpoint === undefined || more.length > 0 || app.length > 255 || (text.includes('=') && app === ''))
    return undefined;
  return { name: formatEndpoint(endpoint.host, endpoint.port), ...endpoint, app };
}
