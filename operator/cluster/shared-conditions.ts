/**
 * Lists of conditions, each kept once: thousands of ApiKeys whose statuses were written in the same second have equal
 * ones, which would take more memory than all the rest of the objects. Readers must not change them.
 */
import { hash } from "node:crypto";
import { equal } from "../../proxy/config/incremental.ts";

const maxLists = 10_000;

export class SharedConditions {
  /** By the digest of their text. */
  readonly #lists = new Map<string, unknown>();

  /** The status with the shared list of its conditions. */
  in(status: unknown): unknown {
    const { conditions } = (status ?? {}) as { conditions?: unknown };
    if (!Array.isArray(conditions)) return status;
    const shared = this.#one(conditions);
    return shared === conditions ? status : { ...(status as object), conditions: shared };
  }

  #one(conditions: readonly unknown[]): unknown {
    const digest = hash("sha1", JSON.stringify(conditions), "base64");
    const shared = this.#lists.get(digest);
    if (equal(shared, conditions)) return shared;
    if (this.#lists.size >= maxLists) this.#lists.clear();
    this.#lists.set(digest, conditions);
    return conditions;
  }
}
