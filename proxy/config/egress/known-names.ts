/**
 * What is known here of a name that the egress proxy will resolve. Networks with such a proxy often resolve no public
 * names, so a name without addresses is left to the proxy.
 */
import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { addressAllowed } from "../destination.ts";

/** How long an answer may take; a name server that doesn't answer must not delay calls. */
const patienceMs = 1_000;
/** How long a name that has no addresses here is not asked for again. */
const forgetMs = 30_000;
const maxNames = 1_000;

export class KnownNames {
  /** Names without addresses, and since when. */
  readonly #unknown = new Map<string, number>();
  readonly #asking = new Map<string, Promise<readonly LookupAddress[]>>();

  /** Whether the name has an address here that it may not lead to. */
  async forbids(name: string, allowPrivate: boolean): Promise<boolean> {
    const addresses = await this.#addressesOf(name);
    return addresses.some(({ address }) => !addressAllowed(address, allowPrivate));
  }

  async #addressesOf(name: string): Promise<readonly LookupAddress[]> {
    const sinceMs = this.#unknown.get(name);
    if (sinceMs !== undefined && performance.now() - sinceMs < forgetMs) return [];
    const late = Promise.withResolvers<readonly LookupAddress[]>();
    const timer = setTimeout(() => late.resolve(this.#note(name)), patienceMs);
    try {
      return await Promise.race([this.#ask(name), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #ask(name: string): Promise<readonly LookupAddress[]> {
    let answer = this.#asking.get(name);
    if (answer !== undefined) return answer;
    answer = lookup(name, { all: true })
      .catch(() => this.#note(name))
      .finally(() => this.#asking.delete(name));
    this.#asking.set(name, answer);
    return answer;
  }

  #note(name: string): readonly LookupAddress[] {
    if (this.#unknown.size >= maxNames) this.#unknown.clear();
    this.#unknown.set(name, performance.now());
    return [];
  }
}
