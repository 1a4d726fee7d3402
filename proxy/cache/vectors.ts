/** Vectors of questions in this process's memory, with the keys of their answers. Limited by entries per route and by bytes. */
import { LRUCache } from "lru-cache";

export interface Match {
  /** Key of the answer in the store. */
  key: string;
  /** Cosine similarity, 0 to 1. */
  similarity: number;
}

export interface VectorEntry {
  partition: string;
  /** Key of the answer in the store. */
  key: string;
  /** Normalised. */
  vector: Float32Array;
  storedAtMs: number;
  endsAtMs: number;
}

interface Entry extends VectorEntry {
  /** Its answer was missing at the last attempt. */
  passOverUntilMs: number;
}

export interface VectorLimits {
  maxEntries: number;
  /** Longest time to keep a vector. */
  ttlMs: number;
}

export interface VectorIndex {
  /** The nearest in a partition, stored at `sinceMs` or later; null if there is none. */
  nearest(route: string, partition: string, vector: Float32Array, sinceMs: number): Match | null;
  /** Its answer is not available: other entries are preferred for a while. */
  passOver(route: string, key: string): void;
  add(route: string, entry: VectorEntry, limits: VectorLimits): void;
  /** Forgets all other routes. */
  keep(routes: ReadonlyMap<string, VectorLimits>): void;
  size(): { entries: number; bytes: number };
  close(): Promise<void>;
}

const passOverMs = 5_000;
const overheadBytes = 512;

/** Scales to length 1, so that a dot product is the cosine; null if that is impossible. */
export function normalised(values: readonly number[]): Float32Array | null {
  const vector = Float32Array.from(values);
  let squares = 0;
  for (const value of vector) squares += value * value;
  if (!Number.isFinite(squares) || squares === 0) return null;
  const length = Math.sqrt(squares);
  for (let index = 0; index < vector.length; index++) vector[index] = (vector[index] as number) / length;
  return vector;
}

/** Dot product of two vectors of equal length. Four sums at once run in parallel, in a third of the time. */
export function cosine(a: Float32Array, b: Float32Array): number {
  let [one, two, three, four] = [0, 0, 0, 0];
  const whole = a.length - (a.length % 4);
  for (let index = 0; index < whole; index += 4) {
    one += (a[index] as number) * (b[index] as number);
    two += (a[index + 1] as number) * (b[index + 1] as number);
    three += (a[index + 2] as number) * (b[index + 2] as number);
    four += (a[index + 3] as number) * (b[index + 3] as number);
  }
  let sum = one + two + three + four;
  for (let index = whole; index < a.length; index++) sum += (a[index] as number) * (b[index] as number);
  return Math.max(0, Math.min(1, sum));
}

/** The vectors of one route: the least recently used are evicted first, and each partition lists its own. */
class RouteVectors {
  readonly entries: LRUCache<string, Entry>;
  readonly #partitions = new Map<string, Set<Entry>>();

  constructor(maxEntries: number) {
    this.entries = new LRUCache({
      max: maxEntries,
      maxSize: Number.MAX_SAFE_INTEGER,
      sizeCalculation: ({ vector }) => vector.byteLength + overheadBytes,
      dispose: (entry) => this.#drop(entry),
    });
  }

  add(entry: Entry): void {
    // An entry received again must not overwrite one that was renewed here.
    if ((this.entries.peek(entry.key)?.endsAtMs ?? 0) > entry.endsAtMs) return;
    this.entries.set(entry.key, entry);
    const members = this.#partitions.get(entry.partition);
    if (members) members.add(entry);
    else this.#partitions.set(entry.partition, new Set([entry]));
  }

  nearest(partition: string, vector: Float32Array, sinceMs: number, nowMs: number): Match | null {
    let best: Entry | null = null;
    let similarity = -1;
    for (const entry of this.#partitions.get(partition) ?? []) {
      if (entry.endsAtMs <= nowMs) {
        this.entries.delete(entry.key);
        continue;
      }
      if (entry.storedAtMs < sinceMs || entry.passOverUntilMs > nowMs || entry.vector.length !== vector.length)
        continue;
      const closeness = cosine(entry.vector, vector);
      if (closeness > similarity) [best, similarity] = [entry, closeness];
    }
    if (best === null) return null;
    this.entries.get(best.key);
    // 32-bit floats have no more digits; equal vectors must give 1.
    return { key: best.key, similarity: Math.round(similarity * 1e6) / 1e6 };
  }

  #drop(entry: Entry): void {
    const members = this.#partitions.get(entry.partition);
    members?.delete(entry);
    if (members?.size === 0) this.#partitions.delete(entry.partition);
  }
}

export function memoryVectors(maxBytes: number, nowMs: () => number): VectorIndex {
  const routes = new Map<string, RouteVectors>();
  const bytes = (): number => [...routes.values()].reduce((sum, { entries }) => sum + entries.calculatedSize, 0);

  const vectorsOf = (route: string, maxEntries: number): RouteVectors => {
    const cached = routes.get(route);
    if (cached?.entries.max === maxEntries) return cached;
    const made = new RouteVectors(maxEntries);
    routes.set(route, made);
    return made;
  };

  /** Evicts from the route that uses the most. */
  const shrink = (): void => {
    while (bytes() > maxBytes) {
      const largest = [...routes.values()].reduce((most, route) =>
        route.entries.calculatedSize > most.entries.calculatedSize ? route : most,
      );
      if (largest.entries.pop() === undefined) return;
    }
  };

  return {
    nearest: (route, partition, vector, sinceMs) =>
      routes.get(route)?.nearest(partition, vector, sinceMs, nowMs()) ?? null,
    passOver(route, key) {
      const entry = routes.get(route)?.entries.peek(key);
      if (entry) entry.passOverUntilMs = nowMs() + passOverMs;
    },
    add(route, { partition, key, vector, storedAtMs, endsAtMs }, { maxEntries }) {
      vectorsOf(route, maxEntries).add({ partition, key, vector, storedAtMs, endsAtMs, passOverUntilMs: 0 });
      shrink();
    },
    keep(wanted) {
      for (const id of routes.keys()) if (!wanted.has(id)) routes.delete(id);
    },
    size: () => ({ entries: [...routes.values()].reduce((sum, { entries }) => sum + entries.size, 0), bytes: bytes() }),
    close: async () => routes.clear(),
  };
}
