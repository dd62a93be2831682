import t from 'tap';
import { CONFIG_VERSION, readWorkerConfig, type WorkerConfig } from '../../src/ipc/worker-config.ts';

const CONFIG: WorkerConfig = {
  engine: 'auto',
  connectTimeoutMs: 5000,
  connectAttempts: 3,
  idleTimeoutMs: 0,
  halfCloseTimeoutMs: 0,
  unackedTimeoutMs: 0,
  shutdownTimeoutMs: 0,
  heartbeatTimeoutMs: 5000,
  maxConnections: 1000,
};

t.test('what is known is taken, and what a later primary may add is passed over', async (t) => {
  t.same(readWorkerConfig(CONFIG_VERSION, { ...CONFIG, colour: 'red' }), CONFIG);
});

t.test('each field that is missing, or is not what it may be, is named', async (t) => {
  for (const name of Object.keys(CONFIG)) {
    const { [name as keyof WorkerConfig]: _, ...rest } = CONFIG;
    for (const given of [
      rest,
      { ...CONFIG, [name]: '5' },
      { ...CONFIG, [name]: -1 },
      { ...CONFIG, [name]: Number.NaN },
    ])
      t.match(readWorkerConfig(CONFIG_VERSION, given), `needs (${name}): stop and start the proxy`);
  }
  t.match(readWorkerConfig(CONFIG_VERSION, null), Object.keys(CONFIG).join(', '));
});

t.test('another version is refused, whatever comes with it', async (t) => {
  for (const version of [CONFIG_VERSION + 1, undefined, '1'])
    t.match(
      readWorkerConfig(version, CONFIG),
      `version ${JSON.stringify(version)}, and this worker's of ${CONFIG_VERSION}`,
    );
});
