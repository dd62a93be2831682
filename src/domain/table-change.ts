const MOST_IDS = 3;

/** What differs between a routing table and the one before it. */
export class TableChange {
  readonly #added = new Few('+');
  readonly #removed = new Few('-');
  readonly #changed = new Few('~');

  added(id: string): void {
    this.#added.add(id);
  }

  removed(id: string): void {
    this.#removed.add(id);
  }

  changed(id: string): void {
    this.#changed.add(id);
  }

  /** How many rows of each kind, and the ids of the first, MOST_IDS of each kind at most: `+new`, `-gone`, `~other`. */
  summary(): { added: number; removed: number; changed: number; ids: readonly string[] } {
    const [added, removed, changed] = [this.#added, this.#removed, this.#changed];
    return {
      added: added.count,
      removed: removed.count,
      changed: changed.count,
      ids: [...added.first, ...removed.first, ...changed.first],
    };
  }
}

class Few {
  count = 0;
  readonly first: string[] = [];
  readonly #mark: string;

  constructor(mark: string) {
    this.#mark = mark;
  }

  add(id: string): void {
    if (this.count++ < MOST_IDS) this.first.push(this.#mark + id);
  }
}
