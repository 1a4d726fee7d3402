/** Whether a store may drop counters to make room, and with them what limits and budgets have counted. */
import { Cluster } from "ioredis";
import type { Client } from "./redis-client.ts";

const everyMs = 30_000;

/**
 * The policy by which a server drops keys, from the answer to INFO memory; null if it drops none. Counters expire, so
 * the policies for keys that expire drop them too. A server without a limit never drops anything.
 */
export function evictingPolicy(info: string): string | null {
  const field = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "";
  const policy = field("maxmemory_policy");
  const limited = Number(field("maxmemory")) > 0;
  return limited && policy !== "" && policy !== "noeviction" ? policy : null;
}

const serversOf = (client: Client): readonly { info(section: string): Promise<string> }[] =>
  client instanceof Cluster ? client.nodes("master") : [client];

/** Asks the store at intervals. */
export class EvictionWatch {
  readonly #client: Client;
  readonly #nowMs: () => number;
  #askedMs = Number.NEGATIVE_INFINITY;
  #policy: string | null = null;

  constructor(client: Client, nowMs: () => number) {
    this.#client = client;
    this.#nowMs = nowMs;
  }

  /** The policy by which the store may drop counters; null if it drops none, or doesn't say. */
  get policy(): string | null {
    return this.#policy;
  }

  /** Call often: it asks rarely. A store that does not allow INFO is left alone. */
  async look(): Promise<void> {
    const nowMs = this.#nowMs();
    if (nowMs - this.#askedMs < everyMs) return;
    this.#askedMs = nowMs;
    try {
      const answers = await Promise.all(serversOf(this.#client).map((server) => server.info("memory")));
      this.#policy = answers.map(evictingPolicy).find((policy) => policy !== null) ?? null;
    } catch {
      // Every other call to the store reports what is wrong with it.
    }
  }
}
