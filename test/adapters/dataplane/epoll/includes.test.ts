import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

const SOURCES = join(import.meta.dirname, '../../../../src/adapters/dataplane/epoll/native');

/** What each part, a .c file with its header, includes of the others. */
function includes(): Map<string, Set<string>> {
  const parts = new Map<string, Set<string>>();
  for (const name of globSync('*.{c,h}', { cwd: SOURCES })) {
    const part = name.slice(0, -2);
    const others = parts.get(part) ?? new Set();
    parts.set(part, others);
    for (const [, other] of readFileSync(join(SOURCES, name), 'utf8').matchAll(/^#include "(.+)\.h"$/gm))
      if (other !== part) others.add(other!);
  }
  return parts;
}

/** Parts that lead back to the first of them; empty: there are none. */
function circle(parts: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const clear = new Set<string>();
  const follow = (part: string, path: readonly string[]): string[] => {
    if (path.includes(part)) return [...path.slice(path.indexOf(part)), part];
    if (clear.has(part)) return [];
    for (const other of parts.get(part) ?? []) {
      const found = follow(other, [...path, part]);
      if (found.length > 0) return found;
    }
    clear.add(part);
    return [];
  };
  for (const part of parts.keys()) {
    const found = follow(part, []);
    if (found.length > 0) return found;
  }
  return [];
}

t.test('each part of the native engine can be read by itself: none needs another that needs it', async (t) => {
  const parts = includes();
  t.ok(parts.size > 15, 'the sources were found');
  t.same(circle(parts), []);
});

t.test('the loop stands on top: only the methods that JavaScript calls know of it', async (t) => {
  const users = [...includes()].filter(([, others]) => others.has('loop')).map(([part]) => part);
  t.same(users.sort(), ['addon', 'methods']);
});

t.test('a circle is found', async (t) => {
  const parts = new Map([
    ['a', new Set(['b'])],
    ['b', new Set(['c', 'd'])],
    ['c', new Set<string>()],
    ['d', new Set(['b'])],
  ]);
  t.same(circle(parts), ['b', 'd', 'b']);
});
