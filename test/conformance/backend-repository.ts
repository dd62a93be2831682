import type { Test } from 'tap';
import type { BackendRepository, RoutingLook } from '../../src/application/ports/backend-repository.ts';
import type { Backend } from '../../src/domain/entities.ts';
import { isDelta, type TableDelta } from '../../src/domain/table-delta.ts';
import type { TableImage } from '../../src/domain/table-image.ts';
import { ERRORS } from '../../src/errors.ts';
import { backend } from '../fixtures/routing-db.ts';

/** One implementation under test, and a hand on what it reads. */
export interface RepositoryHarness {
  readonly repository: BackendRepository;
  /** Makes these the stored backends. */
  write(backends: readonly Backend[]): void;
  /** Makes every look fail. */
  break(): void;
  /** Undoes `break()`; what is stored is as it was. */
  mend(): void;
}

/** The promises of the BackendRepository port, whatever the table is read from. */
export function backendRepositorySuite(t: Test, open: (t: Test) => RepositoryHarness): void {
  const start = (test: Test, backends: readonly Backend[]): RepositoryHarness => {
    const harness = open(test);
    test.teardown(() => harness.repository.close());
    harness.write(backends);
    return harness;
  };

  t.test('the first look loads, the next one finds nothing new', async (t) => {
    const { repository } = start(t, [backend({ app: 'game', country: 'DE' })]);
    const content = loaded(await repository.look());
    t.equal(content.rows, 1);
    t.equal(content.problemCount, 0);
    t.notOk(isDelta(content));
    t.same(await repository.look(), { kind: 'unchanged' });
  });

  t.test('an empty table is a table', async (t) => {
    const { repository } = start(t, []);
    t.equal(loaded(await repository.look()).rows, 0);
  });

  t.test('force loads what did not change, as the same content', async (t) => {
    const { repository } = start(t, [backend()]);
    const first = loaded(await repository.look());
    const again = loaded(await repository.look({ force: true }));
    t.equal(again.contentHash, first.contentHash);
  });

  t.test('a change is found once', async (t) => {
    const { repository, write } = start(t, [backend()]);
    const first = loaded(await repository.look());
    write([backend({ weight: 7 }), backend({}, 1)]);
    const second = loaded(await repository.look());
    t.equal(second.rows, 2);
    t.not(second.contentHash, first.contentHash);
    t.same(await repository.look(), { kind: 'unchanged' });
  });

  t.test('whoever has the table that was loaded last is told what changed of it', async (t) => {
    const [a, b, c, d] = [0, 1, 2, 3].map((i) => backend({}, i)) as [Backend, Backend, Backend, Backend];
    const { repository, write } = start(t, [a, b, c]);
    const { contentHash: have } = loaded(await repository.look());
    const changed = { ...b, weight: 7 };
    write([d, changed, a]);
    const delta = loaded(await repository.look({ have }));
    t.match(delta, { base: have, rows: 3, removed: [c.id], problemCount: 0 });
    t.same(isDelta(delta) && delta.upserts, [changed, d]);
    t.not(delta.contentHash, have);
    const same = loaded(await repository.look({ have: delta.contentHash, force: true }));
    t.match(same, { base: delta.contentHash, contentHash: delta.contentHash, upserts: [], removed: [] });
    for (const other of [have, 'no table that it ever had', undefined]) {
      const whole = loaded(await repository.look({ have: other, force: true }));
      t.notOk(isDelta(whole), `the whole, for ${other}`);
      t.match(whole, { rows: 3, contentHash: delta.contentHash });
    }
  });

  t.test('a failure in between does not lose what changes are told of', async (t) => {
    const harness = start(t, [backend()]);
    const { repository } = harness;
    const { contentHash: have } = loaded(await repository.look());
    harness.break();
    t.equal((await repository.look({ have })).kind, 'failed');
    harness.mend();
    harness.write([backend(), backend({}, 1)]);
    t.match(loaded(await repository.look({ have })), { base: have, rows: 2, upserts: [{ id: 'backend-2' }] });
  });

  t.test('the same rows written again, in another order, are the same content', async (t) => {
    const { repository, write } = start(t, [backend({}, 0), backend({}, 1)]);
    const first = loaded(await repository.look());
    write([backend({}, 1), backend({}, 0)]);
    t.equal(loaded(await repository.look()).contentHash, first.contentHash);
  });

  t.test('a failure is told on every look until it is mended, then the table is loaded', async (t) => {
    const harness = start(t, [backend()]);
    const { repository } = harness;
    const first = loaded(await repository.look());
    harness.break();
    for (const force of [false, false, true]) {
      const look = await repository.look({ force });
      if (look.kind !== 'failed') throw new Error(`a broken table was ${look.kind}`);
      t.ok(Object.hasOwn(ERRORS, look.code), look.code);
      t.not(look.message, '');
    }
    harness.mend();
    t.equal(loaded(await repository.look()).contentHash, first.contentHash);
    t.same(await repository.look(), { kind: 'unchanged' });
  });

  t.test('looks that overlap all end, and a forced one always loads', async (t) => {
    const { repository } = start(t, [backend()]);
    await repository.look();
    const [plain, forced, second] = await Promise.all([
      repository.look(),
      repository.look({ force: true }),
      repository.look({ force: true }),
    ]);
    t.ok(plain);
    t.equal(loaded(forced!).rows, 1);
    t.equal(loaded(second!).rows, 1);
  });

  t.test('after close there is nothing new, and close may come twice', async (t) => {
    const { repository } = start(t, [backend()]);
    await repository.close();
    await repository.close();
    t.same(await repository.look({ force: true }), { kind: 'unchanged' });
  });

  t.test('close ends a look that is under way', async (t) => {
    const { repository } = start(t, [backend()]);
    const look = repository.look();
    await repository.close();
    t.not((await look).kind, 'failed');
  });
}

/** What was loaded by a look that must have. */
export function loaded(look: RoutingLook): TableImage | TableDelta {
  if (look.kind !== 'loaded') throw new Error(`expected a loaded table, got ${JSON.stringify(look)}`);
  return look.content;
}
