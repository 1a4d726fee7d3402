/**
 * The subjects of each budget's period, so that their counters can be listed. An entry goes when its counter has
 * expired.
 */
import { type Client, type ScriptCommand, scriptCommand } from "./redis-client.ts";
import { addSubjectScript } from "./scripts.ts";
import { type LeaseOp, partsOfBudgetKey } from "./store.ts";

/** The subjects of a period, each with the time at which its counter expires. */
const indexKey = (period: string): string => `sluice:x:${period}`;
/** The subjects as earlier versions list them, without a time. */
const earlierKey = (period: string): string => `sluice:i:${period}`;
/** An index outlives its period's counters a little. */
const keptMs = 62 * 86_400_000;
/** Number of indexed keys remembered, so that each is indexed only once. */
const maxRemembered = 100_000;

export class RedisSubjects {
  readonly #client: Client;
  readonly #add: ScriptCommand;
  /** Indexed counters, and the time that the index has of each. */
  readonly #indexed = new Map<string, number | null>();

  constructor(client: Client) {
    this.#client = client;
    this.#add = scriptCommand(client, "sluiceAddSubject", addSubjectScript);
  }

  /** `isNew`: whether the store didn't know the counter. If entering it fails, the next operation tries again. */
  note({ key, expiresAtMs }: Pick<LeaseOp, "key" | "expiresAtMs">, isNew: boolean): void {
    if (!isNew && this.#indexed.get(key) === expiresAtMs) return;
    const parts = partsOfBudgetKey(key);
    if (parts === null) return;
    if (this.#indexed.size > maxRemembered) this.#indexed.clear();
    this.#indexed.set(key, expiresAtMs);
    this.#add(indexKey(parts.period), expiresAtMs ?? "+inf", parts.subject, keptMs).catch(() =>
      this.#indexed.delete(key),
    );
  }

  async of(period: string): Promise<string[]> {
    const [listed, earlier] = await Promise.all([
      this.#client.zrange(indexKey(period), "0", "-1"),
      this.#client.smembers(earlierKey(period)),
    ]);
    return earlier.length === 0 ? listed : [...new Set([...listed, ...earlier])];
  }
}
