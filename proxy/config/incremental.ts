/**
 * State that one pass keeps for the next, matched by object identity: a changed item is a different object, so an
 * identical object is unchanged. All of it could be recomputed, so functions that use it stay pure. Lists are compared
 * without looking into their items, which with 50,000 items saves most of the time.
 */

/** Indexes at which two lists differ, after their common start and end. */
interface Difference {
  before: number[];
  now: number[];
  /** Length of the common start and of the common end. */
  start: number;
  tail: number;
}

function difference<T>(before: readonly T[], now: readonly T[]): Difference {
  const shorter = Math.min(before.length, now.length);
  let start = 0;
  while (start < shorter && before[start] === now[start]) start++;
  let tail = 0;
  while (tail < shorter - start && before[before.length - 1 - tail] === now[now.length - 1 - tail]) tail++;
  const changes: Difference = { before: [], now: [], start, tail };
  const aligned = before.length === now.length;
  for (let index = start; index < before.length - tail; index++)
    if (!aligned || before[index] !== now[index]) changes.before.push(index);
  for (let index = start; index < now.length - tail; index++)
    if (!aligned || before[index] !== now[index]) changes.now.push(index);
  return changes;
}

/** Compares two lists: returns the removed items, and the added ones in the order of the newer list. */
export function delta<T>(before: readonly T[], now: readonly T[]): { gone: Set<T>; come: T[] } {
  const places = difference(before, now);
  const gone = new Set(places.before.map((index) => before[index] as T));
  return { gone, come: places.now.map((index) => now[index] as T).filter((item) => !gone.delete(item)) };
}

export function sameList<T>(a: readonly T[], b: readonly T[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** Remembers what was computed for each item of a list. */
export class MapMemo<T, V> {
  #items: readonly T[] = [];
  #values: readonly V[] = [];

  /** Values in the order of `items`; the same array if nothing changed. */
  of(items: readonly T[], make: (item: T) => V): readonly V[] {
    const [before, made] = [this.#items, this.#values];
    if (sameList(before, items)) return made;
    const places = difference(before, items);
    const values: V[] = made.slice(0, items.length);
    const shift = before.length - items.length;
    if (shift !== 0)
      for (let index = items.length - places.tail; index < items.length; index++)
        values[index] = made[index + shift] as V;
    const moved = new Map(places.before.map((index) => [before[index] as T, made[index] as V]));
    for (const index of places.now) {
      const item = items[index] as T;
      values[index] = moved.has(item) ? (moved.get(item) as V) : make(item);
    }
    this.#items = items;
    this.#values = values;
    return values;
  }
}

/** Index of the first item in a sorted list that doesn't sort before `item`. */
function placeOf<T>(list: readonly T[], item: T, compare: (a: T, b: T) => number): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(list[middle] as T, item) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Returns a sorted list without `gone` and with `come`, or null if an item of `gone` isn't in it. `compare` must tell
 * any two items of the list apart.
 */
export function applyDelta<T>(
  list: readonly T[],
  gone: readonly T[],
  come: readonly T[],
  compare: (a: T, b: T) => number,
): readonly T[] | null {
  if (gone.length + come.length === 0) return list;
  const left = gone.map((item) => placeOf(list, item, compare)).sort((a, b) => a - b);
  const going = new Set(gone);
  if (left.some((index) => !going.delete(list[index] as T))) return null;
  const added = come.toSorted(compare).map((item) => ({ item, index: placeOf(list, item, compare) }));
  const next: T[] = [];
  let [out, into] = [0, 0];
  for (let index = 0; index <= list.length; index++) {
    for (; added[into]?.index === index; into++) next.push(added[into]?.item as T);
    if (left[out] === index) out++;
    else if (index < list.length) next.push(list[index] as T);
  }
  return next;
}

/**
 * Whether two values of plain data (null, booleans, numbers, strings, lists and objects) are equal. An undefined member
 * counts as absent.
 */
export function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, index) => equal(item, b[index]))
    );
  }
  return equalMembers(a as Record<string, unknown>, b as Record<string, unknown>);
}

function equalMembers(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  for (const name of Object.keys(a)) if (!equal(a[name], Object.hasOwn(b, name) ? b[name] : undefined)) return false;
  for (const name of Object.keys(b)) if (b[name] !== undefined && !Object.hasOwn(a, name)) return false;
  return true;
}

/** Replaces entries with the equal entries of the previous pass. */
export class Interner<T extends { id: string }> {
  #before: ReadonlyMap<string, T> = new Map();

  of(entries: readonly T[]): T[] {
    const same = entries.map((entry) => {
      const twin = this.#before.get(entry.id);
      return twin !== undefined && equal(twin, entry) ? twin : entry;
    });
    this.#before = new Map(same.map((entry) => [entry.id, entry]));
    return same;
  }
}
