// Runs in: cli

/** Ids that are compared at most: a hint is not worth a wait. */
const MAX_COMPARED = 10_000;

/** The id that `wanted` was probably meant to be: one third of its characters may be wrong; `null` when none is near. */
export function nearestId(wanted: string, ids: Iterable<string>): string | null {
  let limit = Math.max(1, Math.floor(wanted.length / 3));
  let nearest: string | null = null;
  let compared = 0;
  for (const id of ids) {
    if (compared++ === MAX_COMPARED) break;
    if (Math.abs(id.length - wanted.length) > limit) continue;
    const distance = editDistance(wanted.toLowerCase(), id.toLowerCase());
    if (distance > limit) continue;
    nearest = id;
    limit = distance - 1;
    if (limit < 0) break;
  }
  return nearest;
}

/** Levenshtein's distance: single characters inserted, deleted or replaced. Time: the product of the lengths. */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[j]! + 1, current[j - 1]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}
