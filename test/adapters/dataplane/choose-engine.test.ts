import t from 'tap';
import { chooseEngine } from '../../../src/adapters/dataplane/choose-engine.ts';

const loads = () => ({ addon: 'the addon', reason: null }) as const;
const missing = () => ({ addon: null, reason: 'it is not built' }) as const;

t.test('auto takes the native engine where it loads, and says why not where it does not', async (t) => {
  t.match(chooseEngine('auto', loads), { engine: 'epoll', addon: 'the addon' });
  t.match(chooseEngine('auto', missing), { engine: 'stream', why: /it is not built/ });
});

t.test('stream is taken without a look at the native one', async (t) => {
  const load = () => {
    throw new Error('loaded');
  };
  t.match(chooseEngine('stream', load), { engine: 'stream' });
});

t.test('epoll or nothing', async (t) => {
  t.match(chooseEngine('epoll', loads), { engine: 'epoll', addon: 'the addon' });
  t.throws(() => chooseEngine('epoll', missing), {
    code: 'EDGE_ERR_CONFIG',
    exitCode: 2,
    message: /EDGEPROXY_ENGINE=epoll.*it is not built/,
  });
});
