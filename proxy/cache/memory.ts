/** Answers in this process's memory, limited by entries per route and by bytes overall. */
import { LRUCache } from "lru-cache";
import type { CachedAnswer, CacheStore } from "./store.ts";

type RouteCache = LRUCache<string, CachedAnswer>;

export function memoryStore(maxBytes: number, nowMs: () => number): CacheStore {
  const routes = new Map<string, RouteCache>();
  const bytes = (): number => [...routes.values()].reduce((sum, cache) => sum + cache.calculatedSize, 0);

  const cacheOf = (route: string, maxEntries: number): RouteCache => {
    const cached = routes.get(route);
    if (cached?.max === maxEntries) return cached;
    const cache: RouteCache = new LRUCache({
      max: maxEntries,
      maxSize: maxBytes,
      sizeCalculation: (answer) => answer.body.length + 512,
      ttlResolution: 0,
      perf: { now: nowMs },
    });
    routes.set(route, cache);
    return cache;
  };

  /** Evicts from the route that uses the most. */
  const shrink = (): void => {
    while (bytes() > maxBytes) {
      const largest = [...routes.values()].reduce((most, cache) =>
        cache.calculatedSize > most.calculatedSize ? cache : most,
      );
      if (largest.pop() === undefined) return;
    }
  };

  return {
    get: (route, key) => routes.get(route)?.get(key) ?? null,
    set(route, key, answer, { ttlMs, maxEntries }) {
      cacheOf(route, maxEntries).set(key, answer, { ttl: ttlMs });
      shrink();
    },
    keep(ids) {
      for (const id of routes.keys()) if (!ids.has(id.split(" ", 1)[0] as string)) routes.delete(id);
    },
    size: () => ({ entries: [...routes.values()].reduce((sum, cache) => sum + cache.size, 0), bytes: bytes() }),
    close: async () => routes.clear(),
  };
}
