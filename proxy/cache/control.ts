/** `Cache-Control` of a request (RFC 9111, section 5.2.1), as far as it applies to a response cache. Pure. */
export interface CacheControl {
  /** Don't answer from the cache. */
  noCache: boolean;
  /** Don't answer from the cache, and don't store the answer. */
  noStore: boolean;
  /** Answer from the cache or not at all. */
  onlyIfCached: boolean;
  /** Oldest acceptable answer, in milliseconds; null: any age. */
  maxAgeMs: number | null;
}

const none: CacheControl = { noCache: false, noStore: false, onlyIfCached: false, maxAgeMs: null };

export function parseCacheControl(header: string | null): CacheControl {
  if (header === null) return none;
  const parsed = { ...none };
  for (const directive of header.slice(0, 1024).toLowerCase().split(",")) {
    const [name = "", value = ""] = directive.split("=", 2).map((part) => part.trim());
    if (name === "no-cache") parsed.noCache = true;
    else if (name === "no-store") parsed.noStore = true;
    else if (name === "only-if-cached") parsed.onlyIfCached = true;
    else if (name === "max-age" && /^"?\d{1,9}"?$/.test(value))
      parsed.maxAgeMs = Number(value.replaceAll('"', "")) * 1000;
  }
  return parsed;
}
