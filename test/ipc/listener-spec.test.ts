import t from 'tap';
import { readListenerSpec, SPEC_VERSION } from '../../src/ipc/listener-spec.ts';

const SPEC = { name: '0.0.0.0:8080', host: '0.0.0.0', port: 8080, app: '' };
const PREREAD = { maxBytes: 107, timeoutMs: 500 };

t.test('a listener travels as it is', async (t) => {
  t.same(readListenerSpec(SPEC_VERSION, SPEC), SPEC);
  t.same(readListenerSpec(SPEC_VERSION, { ...SPEC, preread: PREREAD }), { ...SPEC, preread: PREREAD });
});

t.test('one that asks for what is not known here is refused by name: it must not be served without', async (t) => {
  for (const field of ['proxy', 'tls', 'limits', 'colour'])
    t.equal(
      readListenerSpec(SPEC_VERSION, { ...SPEC, [field]: {} }),
      `listener 0.0.0.0:8080 asks for ${field}, which this release does not know`,
    );
});

t.test('what is no listener is refused', async (t) => {
  for (const given of [null, 7, {}, { ...SPEC, name: 7 }])
    t.match(readListenerSpec(SPEC_VERSION, given), 'without a name');
  for (const wrong of [{ host: undefined }, { port: 65_536 }, { port: -1 }, { port: 1.5 }, { app: null }])
    t.match(readListenerSpec(SPEC_VERSION, { ...SPEC, ...wrong }), 'no address, or no app');
  for (const preread of [null, {}, { ...PREREAD, maxBytes: 0 }, { ...PREREAD, timeoutMs: Number.NaN }])
    t.match(readListenerSpec(SPEC_VERSION, { ...SPEC, preread }), 'a preread of no size, or no time');
  for (const version of [undefined, SPEC_VERSION + 1])
    t.match(
      readListenerSpec(version, SPEC),
      `version ${JSON.stringify(version)}, and this worker's of ${SPEC_VERSION}`,
    );
});
