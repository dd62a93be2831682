import t from 'tap';
import { inSlices, sharedTurn } from '../../src/application/in-slices.ts';
import { countTurns } from '../fixtures/count-turns.ts';

function* work(name: string, slices: number, said: string[]): Generator<void, string> {
  for (let i = 0; i < slices; i++) {
    said.push(name);
    yield;
  }
  return name;
}

t.test('others run between two slices', async (t) => {
  const said: string[] = [];
  let running = true;
  const look = () => {
    said.push('-');
    if (running) setImmediate(look);
  };
  setImmediate(look);
  t.equal(await inSlices(work('a', 3, said)), 'a');
  running = false;
  t.same(said.join('').replace(/-+/g, '-'), 'a-a-a-');
});

t.test('works that share their turns take them one after another, one slice a turn of the loop', async (t) => {
  const said: string[] = [];
  const turnsSince = countTurns();
  await Promise.all(['a', 'b', 'c'].map((name) => inSlices(work(name, 4, said), sharedTurn)));
  const turns = turnsSince();
  t.equal(said.join(''), 'abcabcabcabc');
  t.ok(turns >= 12, `${turns} turns for 12 slices`);
});
