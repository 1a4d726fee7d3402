/**
 * What one pass keeps for the next, found again by identity: what changes is another object, so one that is the same has
 * not changed. Whatever is kept could as well be made anew; that is what lets a pure function be handed it. Lists are
 * compared without a look into their items, which with 50,000 of them is most of the time saved.
 */

/** Places at which two lists differ once what they begin and end with alike is left out. */
interface Difference {
  before: number[];
  now: number[];
  /** How many items they begin with alike, and end with alike. */
  start: number;
  tail: number;
}

function difference<T>(before: readonly T[], now: readonly T[]): Difference {
  const shorter = Math.min(before.length, now.length);
  let start = 0;
  while (start < shorter && before[start] === now[start]) start++;
  let tail = 0;
  while (tail < shorter - start && before[before.length - 1 - tail] === now[now.length - 1 - tail]) tail++;
  const found: Difference = { before: [], now: [], start, tail };
  const aligned = before.length === now.length;
  for (let at = start; at < before.length - tail; at++) if (!aligned || before[at] !== now[at]) found.before.push(at);
  for (let at = start; at < now.length - tail; at++) if (!aligned || before[at] !== now[at]) found.now.push(at);
  return found;
}

/** Where two lists differ: what is gone, and what has come, in the order of the newer. */
export function delta<T>(before: readonly T[], now: readonly T[]): { gone: Set<T>; come: T[] } {
  const places = difference(before, now);
  const gone = new Set(places.before.map((at) => before[at] as T));
  return { gone, come: places.now.map((at) => now[at] as T).filter((item) => !gone.delete(item)) };
}

export function sameList<T>(a: readonly T[], b: readonly T[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** What was made of each item of a list. */
export class MapMemo<T, V> {
  #items: readonly T[] = [];
  #values: readonly V[] = [];

  /** In the order of `items`; the same list where nothing changed. */
  of(items: readonly T[], make: (item: T) => V): readonly V[] {
    const [before, made] = [this.#items, this.#values];
    if (sameList(before, items)) return made;
    const places = difference(before, items);
    const values: V[] = made.slice(0, items.length);
    const shift = before.length - items.length;
    if (shift !== 0)
      for (let at = items.length - places.tail; at < items.length; at++) values[at] = made[at + shift] as V;
    const moved = new Map(places.before.map((at) => [before[at] as T, made[at] as V]));
    for (const at of places.now) {
      const item = items[at] as T;
      values[at] = moved.has(item) ? (moved.get(item) as V) : make(item);
    }
    this.#items = items;
    this.#values = values;
    return values;
  }
}

/** The first place in a list in order whose item is not before `item`. */
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
 * A list in order without those that are gone and with those that have come; null where one that is to go isn't there.
 * `compare` tells any two items of a list apart.
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
  if (left.some((at) => !going.delete(list[at] as T))) return null;
  const added = come.toSorted(compare).map((item) => ({ item, at: placeOf(list, item, compare) }));
  const next: T[] = [];
  let [out, into] = [0, 0];
  for (let at = 0; at <= list.length; at++) {
    for (; added[into]?.at === at; into++) next.push(added[into]?.item as T);
    if (left[out] === at) out++;
    else if (at < list.length) next.push(list[at] as T);
  }
  return next;
}

/** Equal plain data: null, booleans, numbers, strings, lists and objects of them. A member that is undefined is one that isn't there. */
export function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, at) => equal(item, b[at]));
  }
  return equalMembers(a as Record<string, unknown>, b as Record<string, unknown>);
}

function equalMembers(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  for (const name of Object.keys(a)) if (!equal(a[name], Object.hasOwn(b, name) ? b[name] : undefined)) return false;
  for (const name of Object.keys(b)) if (b[name] !== undefined && !Object.hasOwn(a, name)) return false;
  return true;
}

/** Entries that are equal to those of the time before are replaced by them. */
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
