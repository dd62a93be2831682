import type { Test } from 'tap';
import type { BackendRepository, RoutingLook } from '../../src/application/ports/backend-repository.ts';
import type { Backend } from '../../src/domain/entities.ts';
import type { TableImage } from '../../src/domain/table-image.ts';
import { ERRORS } from '../../src/errors.ts';
import { backend } from '../fixtures/routing-db.ts';

/** One implementation under test, and a hand on what it reads. */
export interface RepositoryHarness {
  /** Built for the listeners' apps `''` and `game`. */
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
    const image = loaded(await repository.look());
    t.equal(image.rows, 1);
    t.equal(image.problemCount, 0);
    t.same(image.groups.map(({ app, scope }) => `${app} ${scope}`).sort(), [
      ' *',
      ' c:DE',
      ' r:eu',
      'game *',
      'game c:DE',
      'game r:eu',
    ]);
    t.same(await repository.look(), { kind: 'unchanged' });
  });

  t.test('an empty table is a table', async (t) => {
    const { repository } = start(t, []);
    t.equal(loaded(await repository.look()).rows, 0);
  });

  t.test('force loads what did not change, as the same content', async (t) => {
    const { repository } = start(t, [backend()]);
    const first = loaded(await repository.look());
    const again = loaded(await repository.look(true));
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
      const look = await repository.look(force);
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
      repository.look(true),
      repository.look(true),
    ]);
    t.ok(plain);
    t.equal(loaded(forced!).rows, 1);
    t.equal(loaded(second!).rows, 1);
  });

  t.test('after close there is nothing new, and close may come twice', async (t) => {
    const { repository } = start(t, [backend()]);
    await repository.close();
    await repository.close();
    t.same(await repository.look(true), { kind: 'unchanged' });
  });

  t.test('close ends a look that is under way', async (t) => {
    const { repository } = start(t, [backend()]);
    const look = repository.look();
    await repository.close();
    t.not((await look).kind, 'failed');
  });
}

/** The image of a look that must have loaded. */
export function loaded(look: RoutingLook): TableImage {
  if (look.kind !== 'loaded') throw new Error(`expected a loaded table, got ${JSON.stringify(look)}`);
  return look.image;
}
