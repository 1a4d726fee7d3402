/** An object's own place in a `Members`; -1 while it is in none. */
export interface IndexedMember {
  place: number;
}

/**
 * A set that is added to and taken from with every call. JavaScript's Set makes a new table every few changes, and each
 * table holds on to the next one and to what it held itself: once one of them is old, all that follow become old with it,
 * dead calls and all, and the collector's short pauses become long ones.
 */
export class IndexedSet<T extends IndexedMember> implements Iterable<T> {
  readonly #all: T[] = [];

  get size(): number {
    return this.#all.length;
  }

  add(one: T): void {
    one.place = this.#all.length;
    this.#all.push(one);
  }

  delete(one: T): void {
    const last = this.#all.pop();
    if (last !== undefined && last !== one) {
      this.#all[one.place] = last;
      last.place = one.place;
    }
    one.place = -1;
  }

  /** Takes out the one that was added last, as long as none was deleted meanwhile; undefined where there is none. */
  pop(): T | undefined {
    const last = this.#all.pop();
    if (last !== undefined) last.place = -1;
    return last;
  }

  /** Those of this moment, whatever becomes of them meanwhile. */
  [Symbol.iterator](): Iterator<T> {
    return [...this.#all].values();
  }
}
