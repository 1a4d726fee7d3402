/**
 * Sealed answers in a Redis or Valkey that all proxies share. A slow or failed look-up is a miss, and a store that keeps
 * failing is left alone for a while: the cache must never make a call slower than having none.
 */
import { Buffer } from "node:buffer";
import { z } from "zod";
import type { Client } from "../fleet/redis-client.ts";
import type { Sealer } from "../seal/seal.ts";
import type { CachedAnswer, CacheStore } from "./store.ts";

/** unreadable: modified, sealed with a key that is gone, or written by another version. */
export type StoreTrouble = "slow" | "failed" | "unreadable";

const lookUpMs = 50;
const failuresToOpen = 5;
const openForMs = 5_000;

const entryKey = (route: string, key: string): string => `sluice:cache:${route}:${key}`;
/** A route's entries, ordered by expiry. */
const indexKey = (route: string): string => `sluice:cache-index:${route}`;

const head = z.object({
  storedAtMs: z.number(),
  target: z.string(),
  provider: z.string(),
  model: z.string(),
  upstreamModel: z.string(),
  dropped: z.array(z.string()),
  costNanoUsd: z.number().nullable(),
});

/** One line of JSON, then the body. */
function pack({ body, ...rest }: CachedAnswer): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(rest)}\n`), body]);
}

function unpack(clear: Buffer): CachedAnswer | null {
  const end = clear.indexOf(10);
  try {
    const parsed = head.safeParse(JSON.parse(clear.toString("utf8", 0, end)));
    return parsed.success ? { ...parsed.data, body: clear.subarray(end + 1) } : null;
  } catch {
    return null;
  }
}

/** The answer or the error, whichever comes first. */
function within(asked: Promise<Buffer | null>): Promise<Buffer | null | StoreTrouble> {
  return new Promise((resolve) => {
    // Data that has already arrived is read first: this process may have been the slow one.
    const timer = setTimeout(() => setImmediate(() => resolve("slow")), lookUpMs);
    const done = (result: Buffer | null | StoreTrouble): void => {
      clearTimeout(timer);
      resolve(result);
    };
    asked.then(done, () => done("failed"));
  });
}

export class RedisCache implements CacheStore {
  readonly #client: Client;
  readonly #sealer: Sealer;
  readonly #nowMs: () => number;
  readonly #trouble: (what: StoreTrouble) => void;
  #failures = 0;
  #closedUntilMs = 0;

  constructor(client: Client, sealer: Sealer, nowMs: () => number, trouble: (what: StoreTrouble) => void) {
    this.#client = client;
    this.#sealer = sealer;
    this.#nowMs = nowMs;
    this.#trouble = trouble;
  }

  async get(route: string, key: string): Promise<CachedAnswer | null> {
    if (this.#nowMs() < this.#closedUntilMs) return null;
    const place = entryKey(route, key);
    const bytes = await within(this.#client.getBuffer(place));
    if (bytes === "slow" || bytes === "failed" || bytes === "unreadable") return this.#failed(bytes);
    this.#failures = 0;
    if (bytes === null) return null;
    const clear = this.#sealer.open(place, bytes);
    const answer = clear === null ? null : unpack(clear);
    if (answer === null) this.#trouble("unreadable");
    return answer;
  }

  set(route: string, key: string, answer: CachedAnswer, limits: { ttlMs: number; maxEntries: number }): void {
    if (this.#nowMs() < this.#closedUntilMs) return;
    this.#write(route, entryKey(route, key), answer, limits).catch(() => this.#failed("failed"));
  }

  /** Other proxies may know routes that this one doesn't, so entries only expire. */
  keep(): void {}

  size(): { entries: number; bytes: number } {
    return { entries: 0, bytes: 0 };
  }

  close(): Promise<void> {
    this.#client.disconnect();
    return Promise.resolve();
  }

  #failed(what: StoreTrouble): null {
    this.#trouble(what);
    this.#failures++;
    // After the pause, one more failure pauses again.
    if (this.#failures >= failuresToOpen) this.#closedUntilMs = this.#nowMs() + openForMs;
    return null;
  }

  /** The limit is enforced a moment after a write: the entries that expire first are removed. One key per command, for clusters. */
  async #write(
    route: string,
    place: string,
    answer: CachedAnswer,
    { ttlMs, maxEntries }: { ttlMs: number; maxEntries: number },
  ): Promise<void> {
    const now = this.#nowMs();
    const index = indexKey(route);
    const [, , , extra] = await Promise.all([
      this.#client.set(place, this.#sealer.seal(place, pack(answer)), "PX", ttlMs),
      this.#client.zadd(index, now + ttlMs, place),
      this.#client.zremrangebyscore(index, "-inf", now),
      // Removed by name, so that proxies that write at once don't each remove their own number.
      this.#client.zrange(index, "0", String(-(maxEntries + 1))),
      this.#client.pexpire(index, ttlMs),
    ]);
    if (extra.length === 0) return;
    await Promise.all([this.#client.zrem(index, ...extra), ...extra.map((old) => this.#client.unlink(old))]);
  }
}
