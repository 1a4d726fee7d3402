/**
 * A map that only grows and creates missing values. Most branches have a single leaf, so the first entry is kept
 * outside the map and found without hashing.
 */
export class GrowingMap<K, V> {
  readonly #make: (key: K) => V;
  #key: K | undefined;
  #value: V | undefined;
  #more: Map<K, V> | null = null;

  constructor(make: (key: K) => V) {
    this.#make = make;
  }

  get(key: K): V | undefined {
    return key === this.#key ? this.#value : this.#more?.get(key);
  }

  at(key: K): V {
    return this.get(key) ?? this.#grow(key);
  }

  #grow(key: K): V {
    const value = this.#make(key);
    if (this.#value === undefined) {
      this.#key = key;
      this.#value = value;
    } else {
      this.#more ??= new Map();
      this.#more.set(key, value);
    }
    return value;
  }
}

/** One level of a tree keyed by strings: `by(by(leaf))()` is a tree with two levels. */
export const by =
  <V>(make: () => V) =>
  (): GrowingMap<string, V> =>
    new GrowingMap<string, V>(make);
