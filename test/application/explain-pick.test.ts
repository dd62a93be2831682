import fc from 'fast-check';
import t from 'tap';
import { type ExplainQuery, explainPick } from '../../src/application/explain-pick.ts';
import { backendsArbitrary } from '../domain/arbitraries.ts';
import { address, Rig, TTL_MS } from './rig.ts';

const ME = '10.0.0.1';

/** An explanation, read at once. */
async function explain(rig: Rig, client: string, listener = 0, query: Partial<ExplainQuery> = {}) {
  const input = { service: rig.service, ...rig.decisions };
  const explained = await explainPick(input, rig.listeners[listener]!, address(client), { limit: 100, ...query });
  return { ...explained, candidates: [...explained.candidates] };
}

/** Everything that a request could have changed. */
function state(rig: Rig): string {
  const bindings = [0, 1, 2, 3].map((n) => [rig.boundTo(`10.0.0.${n}`), rig.openConnections(`10.0.0.${n}`)]);
  return JSON.stringify([bindings, rig.bindings.size, [...rig.ledger.counts()], rig.metrics.counts, rig.records]);
}

t.test('the explanation names what the next connection gets, and changes nothing', async (t) => {
  const open = fc.record({
    client: fc.nat(3),
    listener: fc.nat(1),
    fails: fc.boolean(),
    ms: fc.constantFrom(0, 1, TTL_MS),
  });
  let agreed = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(
        backendsArbitrary({ maxRows: 10, apps: ['', 'game'] }),
        backendsArbitrary({ maxRows: 10, apps: ['', 'game'] }),
      ),
      fc.array(open, { maxLength: 25, size: 'max' }),
      async (tables, steps) => {
        const rig = new Rig({ countries: { '10.0.0.1/32': 'DE', '10.0.0.2/32': 'EG' } });
        await rig.serve(tables[0]);
        for (const [at, { client, listener, fails, ms }] of steps.entries()) {
          if (at === steps.length >> 1) await rig.serve(tables[1]);
          rig.now += ms;
          const before = state(rig);
          const explained = await explain(rig, `10.0.0.${client}`, listener);
          if (state(rig) !== before) throw new Error('the explanation changed something');
          const answer = rig.pick(at, `10.0.0.${client}`, { listener });
          const got = answer?.kind === 'assigned' ? [answer.backendId, answer.why] : [null, answer?.reason];
          if (got[0] !== explained.choice.backend || got[1] !== explained.choice.why)
            throw new Error(`explained ${JSON.stringify(explained.choice)}, got ${JSON.stringify(got)}`);
          agreed++;
          if (fails) rig.failed(at);
        }
      },
    ),
    { numRuns: 150 },
  );
  t.ok(agreed > 500);
});

t.test('every candidate has its terms, and those that may be picked come first, the best of all ahead', async (t) => {
  const rig = new Rig({ countries: { '10.0.0.0/8': 'DE' }, popRegion: 'sa' });
  await rig.serve([
    { id: 'far', region: 'ap' },
    { id: 'here', region: 'sa', softLimit: 4, weight: 2 },
    { id: 'full', region: 'eu', hardLimit: 1 },
    { id: 'draining', region: 'eu', weight: 0 },
    { id: 'down', region: 'eu', country: 'DE', healthy: false },
  ]);
  t.equal(rig.got(1, '10.0.0.9'), 'full picked');
  t.equal(rig.got(2, '10.0.0.8'), 'here picked');
  const { candidates, geo, preferredRegion, choice, binding, routingVersion } = await explain(rig, ME);
  t.same(
    candidates.map(({ id, tier, load, score, connections, excluded }) => [
      id,
      tier,
      load,
      score,
      connections,
      excluded,
    ]),
    [
      ['here', 2, 0.125, 200.125, 1, null],
      ['far', 3, 0, 300, 0, null],
      ['down', 0, 0, 0, 0, 'unhealthy'],
      ['draining', 1, null, null, 0, 'draining'],
      ['full', 1, 0.1, 100.1, 1, 'at_hard_limit'],
    ],
  );
  t.same(geo, { country: 'DE', region: 'eu' });
  t.equal(preferredRegion, 'eu');
  t.same(choice, { backend: 'here', why: 'picked' });
  t.equal(binding, null);
  t.equal(routingVersion, 1);
});

t.test('a bound client is shown where it is now, and its choice is what it would get', async (t) => {
  const rig = new Rig({ countries: { '10.0.0.0/8': 'DE' } });
  await rig.serve([
    { id: 'german', country: 'DE', region: 'eu' },
    { id: 'brazilian', country: 'BR', region: 'sa' },
  ]);
  rig.got(1, ME);
  rig.connected(1);
  await rig.serve([
    { id: 'german-2', country: 'DE', region: 'eu' },
    { id: 'brazilian', country: 'BR', region: 'sa' },
  ]);
  rig.geo.country = () => 'BR';
  const { geo, choice, candidates } = await explain(rig, ME);
  t.same(geo, { country: 'BR', region: 'sa' });
  t.equal(candidates[0]?.id, 'brazilian');
  t.same(choice, { backend: 'german-2', why: 'rebound' });
  t.equal(rig.got(2, ME), 'german-2 rebound');
});

t.test('a binding is shown with its age', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  rig.got(1, ME);
  rig.connected(1);
  rig.now = 300;
  t.match(await explain(rig, ME), {
    binding: { backend: 'a', ageMs: 300, idleMs: 0, openConnections: 1 },
    choice: { backend: 'a', why: 'bound' },
  });
  rig.closed(1);
  rig.now = 500;
  t.same((await explain(rig, ME)).binding, { backend: 'a', ageMs: 500, idleMs: 200, openConnections: 0 });
});

t.test('a binding that moved is shown with its age on the backend that it moved to', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }]);
  rig.got(1, ME);
  rig.connected(1);
  rig.now = 300;
  await rig.serve([{ id: 'b' }]);
  t.equal(rig.got(2, ME), 'b rebound');
  rig.connected(2);
  rig.now = 310;
  t.match((await explain(rig, ME)).binding, { backend: 'b', ageMs: 10, openConnections: 2 });
  await rig.serve([{ id: 'b' }, { id: 'c' }]);
  rig.got(3, ME);
  rig.failed(3);
  t.equal(rig.got(4, ME, { tried: ['b'] }), 'c retried');
  rig.now = 320;
  t.match((await explain(rig, ME)).binding, { backend: 'b', ageMs: 20 }, 'not before it is there');
  rig.connected(4);
  t.match((await explain(rig, ME)).binding, { backend: 'c', ageMs: 0 });
});

t.test('a refusal is explained too', async (t) => {
  const rig = new Rig();
  t.same((await explain(rig, ME)).choice, { backend: null, why: 'no_backend' });
  t.same((await explain(rig, ME)).candidates, []);
});

t.test('pages hold each candidate once, in the order of one answer', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      backendsArbitrary({ maxRows: 30, apps: ['', 'game'] }),
      fc.integer({ min: 1, max: 12 }),
      async (rows, limit) => {
        const rig = new Rig({ countries: { '10.0.0.1/32': 'DE' } });
        await rig.serve(rows);
        for (let seq = 1; seq < 20; seq++) rig.pick(seq, `10.0.1.${seq}`);
        const whole = await explain(rig, ME);
        const ids: string[] = [];
        let page = await explain(rig, ME, 0, { limit });
        for (;;) {
          ids.push(...page.candidates.map(({ id }) => id));
          if (page.total !== rows.length || page.omitted !== rows.length - ids.length) throw new Error('miscounted');
          if (page.next === null) break;
          page = await explain(rig, ME, 0, { limit, after: page.next });
        }
        if (JSON.stringify(ids) !== JSON.stringify(whole.candidates.map(({ id }) => id)))
          throw new Error(`${ids} is not the order of ${whole.candidates.map(({ id }) => id)}`);
      },
    ),
    { numRuns: 60 },
  );
  t.pass();
});

t.test('one candidate may be asked for, and what no page named as the next one is refused', async (t) => {
  const rig = new Rig();
  await rig.serve([{ id: 'a' }, { id: 'b', healthy: false, region: 'us' }]);
  t.match(await explain(rig, ME, 0, { id: 'b' }), {
    choice: { backend: 'a' },
    candidates: [{ id: 'b', excluded: 'unhealthy' }],
    total: 1,
    omitted: 0,
  });
  t.match(await explain(rig, ME, 0, { region: 'us' }), { candidates: [{ id: 'b' }], total: 1 });
  for (const after of ['', 'a', '0:0:x:a', '2:0:0:a', '0:4:0:a', '0:0:1e999:a'])
    await t.rejects(explain(rig, ME, 0, { after }), { code: 'EDGE_ERR_USAGE', message: /"next"/ }, after);
});

t.test('the choice is made in one step, the candidates are looked at in slices', async (t) => {
  const rig = new Rig();
  await rig.serve(Array.from({ length: 10_000 }, (_, i) => ({ id: `b${i}` })));
  const input = { service: rig.service, ...rig.decisions };
  let turns = 0;
  let picked: unknown;
  const turn = async () => {
    // Whoever comes while it looks gets what was explained: the table is still as it was.
    if (turns++ === 0) picked = rig.pick(1, ME);
  };
  const { choice } = await explainPick(input, rig.listeners[0]!, address(ME), { limit: 10 }, turn);
  t.ok(turns >= 10, `${turns} slices`);
  t.match(picked, { backendId: choice.backend });
});
