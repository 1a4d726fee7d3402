/** The models that proxies found at providers. Kept in memory; until proxies report, the published ones count. */
import type { DiscoveryReading } from "../../../proxy/config/discovery.ts";

/** Report of one proxy: provider id → what it knows, with its reading if the provider's models are discovered. */
type Report = ReadonlyMap<string, { discovered?: DiscoveryReading }>;

const sameNames = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name, index) => name === b[index]);

/** Proxies look at different times, so a model counts while any of them has it. null: no proxy has a list. */
function namesOf(readings: readonly DiscoveryReading[]): string[] | null {
  const lists = readings.flatMap(({ models }) => (models === null ? [] : [models]));
  return lists.length === 0 ? null : [...new Set(lists.flat())].sort();
}

export class DiscoveryBook {
  #found: ReadonlyMap<string, readonly string[]> = new Map();

  /** Clears the memory: another process may have published since. */
  forget(): void {
    this.#found = new Map();
  }

  /** Provider id → models. Input of compile. */
  facts(): ReadonlyMap<string, readonly string[]> {
    return this.#found;
  }

  /** Returns whether compile's input changed. Models stay as long as no proxy has a newer list. */
  learn(reports: readonly Report[]): boolean {
    const ids = new Set(reports.flatMap((report) => [...report.keys()]));
    const next = new Map<string, readonly string[]>();
    for (const id of ids) {
      const readings = reports.flatMap((report) => report.get(id)?.discovered ?? []);
      const before = this.#found.get(id);
      const names = readings.length === 0 ? null : (namesOf(readings) ?? before ?? null);
      if (names !== null) next.set(id, before !== undefined && sameNames(before, names) ? before : names);
    }
    if (ids.size === 0) return false;
    const changed = [...next].some(([id, names]) => this.#found.get(id) !== names);
    this.#found = next;
    return changed;
  }
}
