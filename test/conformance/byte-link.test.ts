import t from 'tap';
import { loadAddon } from '../../src/adapters/dataplane/epoll/load-addon.ts';
import { linkOver, NativeLink } from '../../src/adapters/dataplane/epoll/native-link.ts';
import { DuplexLink } from '../../src/ipc/byte-link.ts';
import { BUILD, SKIPPED } from '../fixtures/engines.ts';
import { byteLinkSuite } from './byte-link.ts';

t.test('DuplexLink', async (t) => byteLinkSuite(t, (socket) => new DuplexLink(socket)));

t.test('NativeLink', { skip: SKIPPED.epoll }, async (t) => {
  const { addon } = loadAddon(BUILD);
  byteLinkSuite(t, (socket) => {
    const link = linkOver(socket, addon);
    if (!(link instanceof NativeLink)) throw new Error('Node does not tell the descriptor of a socket');
    return link;
  });
});

t.test('without the native code it is a stream', async (t) => {
  const { socketPair } = await import('../fixtures/socket-pair.ts');
  const [mine] = await socketPair(t);
  t.ok(linkOver(mine, null) instanceof DuplexLink);
});
