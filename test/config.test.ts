import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { type Config, effectiveVariables, readConfig, unknownVariables, VARIABLES } from '../src/config.ts';
import { INCARNATION_VARIABLE, parseEndpoint } from '../src/variable.ts';

type Env = Record<string, string>;

/** The message of the refusal; `''` when it is accepted. */
function refusal(env: Env): string {
  try {
    readConfig(env);
    return '';
  } catch (error) {
    const { code, exitCode, message } = error as { code?: string; exitCode?: number; message: string };
    return `${code} ${exitCode} ${message}`;
  }
}

t.test('unset means the default', async (t) => {
  const config = readConfig({});
  t.same(config, {
    listeners: [{ name: '0.0.0.0:8080', host: '0.0.0.0', port: 8080, app: '' }],
    dbPath: 'routing.db',
    popRegion: 'sa',
    dbReloadMs: 5000,
    geoipPath: null,
    bindingTtlMs: 600_000,
    bindingGcIntervalMs: 60_000,
    maxBindings: 1_000_000,
    workers: availableParallelism(),
    engine: 'auto',
    admin: { kind: 'tcp', host: '127.0.0.1', port: 8081 },
    adminToken: null,
    adminOpen: [],
    connectTimeoutMs: 5000,
    connectAttempts: 3,
    idleTimeoutMs: 3_600_000,
    halfCloseTimeoutMs: 60_000,
    unackedTimeoutMs: 30_000,
    lameDuckMs: 0,
    shutdownTimeoutMs: 30_000,
    heartbeatTimeoutMs: 5000,
    debug: false,
    logIsoTime: false,
  } satisfies Config);
  t.ok(Object.isFrozen(config));
  t.same(readConfig({ HOME: '/nowhere' }), config);
});

const listener = (host: string, port: number, name: string, app = '') => ({ name, host, port, app });
const TOKEN = 'sixteen-chars-ok';

/** For each variable: values and what they become in the configuration, and values that are refused. */
const TABLE: Readonly<
  Record<keyof typeof VARIABLES, { good: readonly (readonly [string, Partial<Config>])[]; bad: readonly string[] }>
> = {
  EDGEPROXY_LISTEN_ADDR: {
    good: [
      ['127.0.0.1:1', { listeners: [listener('127.0.0.1', 1, '127.0.0.1:1')] }],
      ['[::]:8080', { listeners: [listener('::', 8080, '[::]:8080')] }],
      [
        ' 10.0.0.1:80=web , [2001:DB8::1]:81=game,localhost:82',
        {
          listeners: [
            listener('10.0.0.1', 80, '10.0.0.1:80', 'web'),
            listener('2001:db8::1', 81, '[2001:db8::1]:81', 'game'),
            listener('127.0.0.1', 82, '127.0.0.1:82'),
          ],
        },
      ],
      [
        '127.0.0.1:0,127.0.0.1:0=a,127.0.0.1:9',
        {
          listeners: [
            listener('127.0.0.1', 0, '127.0.0.1:0'),
            listener('127.0.0.1', 0, '127.0.0.1:0', 'a'),
            listener('127.0.0.1', 9, '127.0.0.1:9'),
          ],
        },
      ],
    ],
    bad: [
      '',
      '8080',
      ':8080',
      '0.0.0.0',
      '0.0.0.0:',
      '0.0.0.0:65536',
      '0.0.0.0:-1',
      '0.0.0.0:80a',
      'example.com:80',
      '::1:80',
      '[127.0.0.1]:80',
      '127.0.0.1:80,',
      '127.0.0.1:80,127.0.0.1:80=other',
      '127.0.0.1:80,[::ffff:127.0.0.1]:80',
      '127.0.0.1:80=',
      '127.0.0.1:80=a=b',
      `127.0.0.1:80=${'x'.repeat(256)}`,
    ],
  },
  EDGEPROXY_DB_PATH: {
    good: [['/var/lib/my db.sqlite', { dbPath: '/var/lib/my db.sqlite' }]],
    bad: ['', '  ', 'a\0b'],
  },
  EDGEPROXY_REGION: {
    good: ['sa', 'us', 'eu', 'ap', 'af', 'me'].map((region) => [region, { popRegion: region as 'eu' }] as const),
    bad: ['', 'EU', 'xx', 'constructor'],
  },
  EDGEPROXY_DB_RELOAD_SECS: seconds('dbReloadMs', 1, 86_400),
  EDGEPROXY_GEOIP_PATH: {
    good: [
      ['', { geoipPath: null }],
      ['geo.mmdb', { geoipPath: 'geo.mmdb' }],
    ],
    bad: [],
  },
  EDGEPROXY_BINDING_TTL_SECS: seconds('bindingTtlMs', 1, 30 * 86_400),
  EDGEPROXY_BINDING_GC_INTERVAL_SECS: seconds('bindingGcIntervalMs', 1, 86_400),
  EDGEPROXY_MAX_BINDINGS: integer('maxBindings', 1, 50_000_000),
  EDGEPROXY_WORKERS: {
    ...integer('workers', 1, 256),
    good: [['auto', { workers: availableParallelism() }], ...integer('workers', 1, 256).good],
  },
  EDGEPROXY_ENGINE: {
    good: [
      ['auto', { engine: 'auto' }],
      ['stream', { engine: 'stream' }],
      ['epoll', { engine: 'epoll' }],
    ],
    bad: ['', 'AUTO', 'io_uring'],
  },
  EDGEPROXY_ADMIN_ADDR: {
    good: [
      ['off', { admin: null }],
      ['127.0.0.2:0', { admin: { kind: 'tcp', host: '127.0.0.2', port: 0 } }],
      ['localhost:1', { admin: { kind: 'tcp', host: '127.0.0.1', port: 1 } }],
      ['[::1]:1', { admin: { kind: 'tcp', host: '::1', port: 1 } }],
      ['unix:/run/edge.sock', { admin: { kind: 'unix', path: '/run/edge.sock' } }],
    ],
    bad: ['', 'on', 'OFF', 'unix:', '8081', '127.0.0.1', '0.0.0.0:8081', '[::]:8081', '10.0.0.1:8081', '1.127.0.1:80'],
  },
  EDGEPROXY_ADMIN_TOKEN: {
    good: [
      ['', { adminToken: null }],
      [TOKEN, { adminToken: TOKEN }],
    ],
    bad: ['short', 'fifteen-chars-x', 'with a blank in it', 'sixteen-chars-\u00fc\u00fc', 'line\nbreak-in-the-token'],
  },
  EDGEPROXY_ADMIN_OPEN: {
    good: [
      ['', { adminOpen: [] }],
      ['healthz', { adminOpen: ['healthz'] }],
      [' metrics , readyz,metrics', { adminOpen: ['metrics', 'readyz'] }],
    ],
    bad: ['/healthz', 'healthz,', 'all', 'Healthz', 'healthz readyz'],
  },
  EDGEPROXY_CONNECT_TIMEOUT_MS: integer('connectTimeoutMs', 1, 600_000),
  EDGEPROXY_CONNECT_ATTEMPTS: integer('connectAttempts', 1, 16),
  EDGEPROXY_IDLE_TIMEOUT_SECS: seconds('idleTimeoutMs', 0, 604_800),
  EDGEPROXY_HALF_CLOSE_TIMEOUT_SECS: seconds('halfCloseTimeoutMs', 0, 604_800),
  EDGEPROXY_UNACKED_TIMEOUT_SECS: seconds('unackedTimeoutMs', 0, 604_800),
  EDGEPROXY_LAME_DUCK_SECS: seconds('lameDuckMs', 0, 3600),
  EDGEPROXY_SHUTDOWN_TIMEOUT_SECS: seconds('shutdownTimeoutMs', 0, 86_400),
  EDGEPROXY_HEARTBEAT_TIMEOUT_SECS: seconds('heartbeatTimeoutMs', 1, 300),
  EDGEPROXY_LOG_TIME: {
    good: [
      ['iso', { logIsoTime: true }],
      ['epoch', { logIsoTime: false }],
    ],
    bad: ['', 'ISO', 'utc'],
  },
  DEBUG: {
    good: [
      ['1', { debug: true }],
      ['true', { debug: true }],
      ['TRUE', { debug: true }],
      ['0', { debug: false }],
      ['false', { debug: false }],
      ['', { debug: false }],
    ],
    bad: ['yes', '2', '*', 'constructor', 'valueof', '__proto__'],
  },
};

function integer(name: keyof Config, min: number, max: number, unit = 1) {
  const good = [min, min + 1, max].map((value) => [String(value), { [name]: value * unit }] as const);
  const bad = [
    '',
    ' ',
    String(min - 1),
    String(max + 1),
    `${min}.5`,
    '1e3',
    '0x10',
    `${max}s`,
    'NaN',
    'Infinity',
    '9'.repeat(30),
  ];
  return { good: [...good, [` ${min} `, { [name]: min * unit }] as const], bad };
}

function seconds(name: keyof Config, min: number, max: number) {
  return integer(name, min, max, 1000);
}

for (const [name, { good, bad }] of Object.entries(TABLE)) {
  t.test(`${name}: what it may hold, and what it may not`, async (t) => {
    for (const [text, becomes] of good) t.match(readConfig({ [name]: text }), becomes, JSON.stringify(text));
    for (const text of bad) {
      const message = refusal({ [name]: text });
      t.match(message, `${name}=`, JSON.stringify(text));
      t.match(message, 'EDGE_ERR_CONFIG 2 ');
    }
  });
}

t.test('the table of variables says of each what it means, and its default is one that it may hold', async (t) => {
  t.same(Object.keys(VARIABLES).toSorted(), Object.keys(TABLE).toSorted());
  for (const [name, { default: text, expected, meaning, parse }] of Object.entries(VARIABLES)) {
    t.not(parse(text), undefined, name);
    t.ok(expected.length > 5 && meaning.length > 5);
  }
});

t.test('the variables of every module are gathered, each with a field of its own', async (t) => {
  const files = globSync('src/modules/*/variables.ts', { cwd: join(import.meta.dirname, '..') });
  t.ok(files.length > 5);
  const own = await Promise.all(
    files.map(async (file) => {
      const [table = {}] = Object.values((await import(`../${file}`)) as object).filter(
        (value) => typeof value === 'object',
      );
      return Object.keys(table as object);
    }),
  );
  t.same(own.flat().toSorted(), Object.keys(VARIABLES).toSorted());
  const fields = Object.values(VARIABLES).map(({ field }) => field);
  t.equal(new Set(fields).size, fields.length);
  t.same(Object.keys(readConfig({})).toSorted(), fields.toSorted());
});

t.test('one message lists every wrong variable, what it holds and what it may hold', async (t) => {
  const message = refusal({
    EDGEPROXY_REGION: 'mars',
    EDGEPROXY_WORKERS: '0',
    EDGEPROXY_CONNECT_TIMEOUT_MS: '5s',
    EDGEPROXY_DB_PATH: 'good.db',
  });
  t.equal(
    message,
    `EDGE_ERR_CONFIG 2 the configuration is wrong in 3 places:
  EDGEPROXY_REGION="mars": may hold sa, us, eu, ap, af, me
  EDGEPROXY_WORKERS="0": may hold \`auto\` (one a core) or a whole number from 1 to 256
  EDGEPROXY_CONNECT_TIMEOUT_MS="5s": may hold a whole number from 1 to 600000`,
  );
  t.match(refusal({ EDGEPROXY_ENGINE: 'x' }), 'in 1 place:');
});

t.test('a long value is cut short, and control characters are escaped', async (t) => {
  const message = refusal({ EDGEPROXY_ENGINE: `\u001b[2J${'x'.repeat(10_000)}` });
  t.ok(message.length < 500);
  t.notMatch(message, '\u001b');
});

t.test('the token is never shown', async (t) => {
  const message = refusal({ EDGEPROXY_ADMIN_TOKEN: 'my secret', EDGEPROXY_REGION: 'x' });
  t.match(message, 'EDGEPROXY_ADMIN_TOKEN="(not shown)"');
  t.notMatch(message, 'secret');
});

t.test('the admin API is beyond loopback only with a token', async (t) => {
  for (const address of ['0.0.0.0:8081', '[::]:8081', '10.0.0.1:8081']) {
    t.match(refusal({ EDGEPROXY_ADMIN_ADDR: address }), /a loopback address, or EDGEPROXY_ADMIN_TOKEN set as well/);
    t.match(refusal({ EDGEPROXY_ADMIN_ADDR: address, EDGEPROXY_ADMIN_TOKEN: '' }), /EDGEPROXY_ADMIN_ADDR=/);
    t.equal(refusal({ EDGEPROXY_ADMIN_ADDR: address, EDGEPROXY_ADMIN_TOKEN: TOKEN }), '');
    const wrong = refusal({ EDGEPROXY_ADMIN_ADDR: address, EDGEPROXY_ADMIN_TOKEN: 'short' });
    t.match(wrong, 'in 1 place:', 'a wrong token is the one thing that is wrong');
  }
});

t.test('variables with our prefix that we do not know are named', async (t) => {
  const env = {
    EDGEPROXY_REGOIN: 'eu',
    EDGEPROXY_REGION: 'eu',
    REGION: 'eu',
    [INCARNATION_VARIABLE]: '3',
    EDGEPROXY_toString: '',
  };
  t.same(unknownVariables(env), ['EDGEPROXY_REGOIN', 'EDGEPROXY_toString']);
});

t.test('endpoints', async (t) => {
  t.same(parseEndpoint('10.0.0.1:80'), { host: '10.0.0.1', port: 80 });
  t.same(parseEndpoint(' [::1]:0 '), { host: '::1', port: 0 });
  for (const text of [
    '',
    '10.0.0.1',
    '10.0.0.1:',
    '10.0.0.1:99999',
    '::1:80',
    '[::1]',
    '[10.0.0.1]:80',
    '10.0.0.1:80/x',
  ])
    t.equal(parseEndpoint(text), undefined, text);
});

t.test('what is in force is told, but for secrets', async (t) => {
  const told = effectiveVariables({ EDGEPROXY_REGION: 'eu', EDGEPROXY_ADMIN_TOKEN: TOKEN, HOME: '/nowhere' });
  t.same(Object.keys(told), Object.keys(VARIABLES));
  t.same(told.EDGEPROXY_REGION, { value: 'eu', source: 'environment' });
  t.same(told.EDGEPROXY_WORKERS, { value: 'auto', source: 'default' });
  t.same(told.EDGEPROXY_ADMIN_TOKEN, { value: '(set, not shown)', source: 'environment' });
  t.same(effectiveVariables({}).EDGEPROXY_ADMIN_TOKEN, { value: '', source: 'default' });
});
