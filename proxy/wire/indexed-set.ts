/** An object's index in a `Members`; -1 while it is in none. */
export interface IndexedMember {
  place: number;
}

/**
 * A set that every call adds to and deletes from. JavaScript's Set allocates a new table every few changes, and each
 * table references the next one and its own entries: once one table is in the old generation, all later ones follow,
 * with their dead calls, and the collector's short pauses become long ones.
 */
export class IndexedSet<T extends IndexedMember> implements Iterable<T> {
  readonly #all: T[] = [];

  get size(): number {
    return this.#all.length;
  }

  add(item: T): void {
    item.place = this.#all.length;
    this.#all.push(item);
  }

  delete(item: T): void {
    const last = this.#all.pop();
    if (last !== undefined && last !== item) {
      this.#all[item.place] = last;
      last.place = item.place;
    }
    item.place = -1;
  }

  /** Removes and returns the last member, which is the one added last if none was deleted since; undefined if empty. */
  pop(): T | undefined {
    const last = this.#all.pop();
    if (last !== undefined) last.place = -1;
    return last;
  }

  /** A copy of the current members, unaffected by later changes. */
  [Symbol.iterator](): Iterator<T> {
    return [...this.#all].values();
  }
}
