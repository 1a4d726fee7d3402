/**
 * Vectors that all proxies share. Each proxy compares in its own memory and receives the others' vectors, sealed, through
 * one stream in Redis or Valkey. A look-up asks no store, losing the store loses nothing, and a new proxy starts with what
 * the others know. The server's own vector search would need vectors in clear, which reveal the questions.
 */
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Client } from "../fleet/redis-client.ts";
import type { Sealer } from "../seal/seal.ts";
import type { StoreTrouble } from "./redis.ts";
import { normalised, type VectorEntry, type VectorIndex, type VectorLimits } from "./vectors.ts";

const streamKey = "sluice:cache-vectors";
const placeOf = (route: string): string => `${streamKey}:${route}`;
/** How long a vector may be unknown to other proxies, in milliseconds. */
const everyMs = 500;
/** Entries per read, so that look-ups in between don't wait long. */
const maxAtOnce = 50;
/** Upper limit of entries kept for proxies that start, whatever the policies configure: about 3 KiB each. */
const maxKept = 10_000;

const head = z.object({
  from: z.string(),
  partition: z.string(),
  key: z.string(),
  storedAtMs: z.number(),
  endsAtMs: z.number(),
});
type Head = z.output<typeof head>;

/** One line of JSON, then 16-bit floats, which change a cosine by less than 0.0001. */
function pack(from: string, { vector, ...rest }: VectorEntry): Buffer {
  const halves = Float16Array.from(vector);
  return Buffer.concat([
    Buffer.from(`${JSON.stringify({ from, ...rest } satisfies Head)}\n`),
    new Uint8Array(halves.buffer),
  ]);
}

function unpack(clear: Buffer): (Head & VectorEntry) | null {
  const end = clear.indexOf(10);
  const halves = Uint8Array.from(clear.subarray(end + 1));
  try {
    const parsed = head.safeParse(JSON.parse(clear.toString("utf8", 0, end)));
    const vector = halves.length % 2 === 0 ? normalised([...new Float16Array(halves.buffer)]) : null;
    return parsed.success && vector !== null ? { ...parsed.data, vector } : null;
  } catch {
    return null;
  }
}

export class SharedVectors implements VectorIndex {
  readonly #own: VectorIndex;
  readonly #client: Client;
  readonly #sealer: Sealer;
  readonly #nowMs: () => number;
  readonly #trouble: (what: StoreTrouble) => void;
  readonly #name = randomUUID();
  /** Routes with a semantic cache. */
  #routes: ReadonlyMap<string, VectorLimits> = new Map();
  #read = "0-0";
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  /** `own`: this process's memory. */
  constructor(
    own: VectorIndex,
    client: Client,
    sealer: Sealer,
    nowMs: () => number,
    trouble: (what: StoreTrouble) => void,
  ) {
    this.#own = own;
    this.#client = client;
    this.#sealer = sealer;
    this.#nowMs = nowMs;
    this.#trouble = trouble;
  }

  nearest: VectorIndex["nearest"] = (...asked) => this.#own.nearest(...asked);
  passOver: VectorIndex["passOver"] = (...asked) => this.#own.passOver(...asked);
  size: VectorIndex["size"] = () => this.#own.size();

  add(route: string, entry: VectorEntry, limits: VectorLimits): void {
    this.#own.add(route, entry, limits);
    this.#tell(route, entry).catch(() => this.#trouble("failed"));
  }

  keep(routes: ReadonlyMap<string, VectorLimits>): void {
    this.#own.keep(routes);
    // Entries skipped because their route was unknown may be wanted now.
    if ([...routes.keys()].some((id) => !this.#routes.has(id))) this.#read = "0-0";
    this.#routes = routes;
    if (this.#timer === null && routes.size > 0) this.#follow();
  }

  /** Uses the answers' connection, and closes with it. */
  close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer ?? undefined);
    return this.#own.close();
  }

  async #tell(route: string, entry: VectorEntry): Promise<void> {
    const limits = [...this.#routes.values()];
    const longestMs = Math.max(1, ...limits.map(({ ttlMs }) => ttlMs));
    const most = limits.reduce((sum, { maxEntries }) => Math.min(maxKept, sum + maxEntries), 0);
    const sealed = this.#sealer.seal(placeOf(route), pack(this.#name, entry));
    await Promise.all([
      this.#client.xadd(streamKey, "MAXLEN", "~", most, "*", "r", route, "v", sealed),
      this.#client.xtrim(streamKey, "MINID", "~", Math.max(0, this.#nowMs() - longestMs)),
      this.#client.pexpire(streamKey, longestMs),
    ]);
  }

  #follow(): void {
    const again = (): void => {
      if (!this.#closed) this.#follow();
    };
    // The answers' own look-ups report a store that is gone.
    this.#timer = setTimeout(() => this.#hear().then(again, again), everyMs).unref();
  }

  async #hear(): Promise<void> {
    if (this.#routes.size === 0) return;
    for (let more = true; more && !this.#closed; ) {
      const entries =
        (await this.#client.xreadBuffer("COUNT", maxAtOnce, "STREAMS", streamKey, this.#read))?.[0]?.[1] ?? [];
      for (const [id, fields] of entries) {
        this.#read = id.toString();
        this.#take(fields[1]?.toString() ?? "", fields[3] ?? Buffer.alloc(0));
      }
      more = entries.length === maxAtOnce;
    }
  }

  #take(route: string, sealed: Buffer): void {
    const limits = this.#routes.get(route);
    if (limits === undefined) return;
    const clear = this.#sealer.open(placeOf(route), sealed);
    const received = clear === null ? null : unpack(clear);
    if (received === null) this.#trouble("unreadable");
    else if (received.from !== this.#name && received.endsAtMs > this.#nowMs()) this.#own.add(route, received, limits);
  }
}
