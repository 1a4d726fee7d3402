/**
 * Which of its rights the operator lacks. It asks the API server at startup, at intervals, and after a request was
 * refused with 403, which can also come from a quota or an admission webhook. While rights are missing, it asks for
 * these again and again.
 */
import { AuthorizationV1Api } from "@kubernetes/client-node";
import { type Cluster, statusCode } from "./api.ts";
import { eachOf } from "./each.ts";
import type { Right } from "./needed-rights.ts";

const asksAtOnce = 4;
const usualTimes = { suspectMs: 1_000, fullMs: 30_000, missingMs: 5_000, restMs: 10 * 60_000 };

export interface RightsCheckOptions {
  needed: readonly Right[];
  /** null if the API server doesn't say. */
  allowed(right: Right): Promise<boolean | null>;
  /** Called when the missing rights have changed. */
  changed(missing: readonly Right[]): void;
  times?: Partial<typeof usualTimes>;
}

/** Asks the API server what this process may do. */
export function selfAccess(cluster: Cluster): (right: Right) => Promise<boolean | null> {
  const api = cluster.config.makeApiClient(AuthorizationV1Api);
  return async ({ verb, group, resource: path, namespace, name }) => {
    const [resource = "", subresource = ""] = path.split("/");
    const resourceAttributes = { verb, group, resource, subresource, namespace, name };
    try {
      const { status } = await api.createSelfSubjectAccessReview({ body: { spec: { resourceAttributes } } });
      return status?.allowed ?? null;
    } catch (cause) {
      // By default everybody may ask; if that right was withdrawn, nothing is known.
      if (statusCode(cause) === 403) return null;
      throw cause;
    }
  };
}

export class RightsCheck {
  readonly #options: RightsCheckOptions;
  readonly #times: typeof usualTimes;
  #missing: readonly Right[] = [];
  #suspected = true;
  #fullMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  #dueMs = Number.POSITIVE_INFINITY;
  #running: Promise<void> | null = null;
  #stopped = false;

  constructor(options: RightsCheckOptions) {
    this.#options = options;
    this.#times = { ...usualTimes, ...options.times };
    this.#schedule(0);
  }

  get missing(): readonly Right[] {
    return this.#missing;
  }

  /** A request was refused: a right may be missing. */
  suspect(): void {
    if (this.#suspected) return;
    this.#suspected = true;
    this.#schedule(Math.max(this.#times.suspectMs, this.#fullMs + this.#times.fullMs - performance.now()));
  }

  #schedule(afterMs: number): void {
    const dueMs = performance.now() + afterMs;
    if (this.#stopped || this.#running !== null || this.#dueMs <= dueMs) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.#dueMs = Number.POSITIVE_INFINITY;
      this.#running = this.#check();
    }, afterMs);
    this.#timer.unref();
  }

  async #check(): Promise<void> {
    const { needed } = this.#options;
    const full =
      performance.now() - this.#fullMs >= this.#times.fullMs && (this.#suspected || this.#missing.length === 0);
    if (full) {
      this.#suspected = false;
      this.#fullMs = performance.now();
    }
    const lost = await this.#lostOf(full ? needed : this.#missing);
    const missing = needed.filter((right) => lost.has(right));
    const same = missing.length === this.#missing.length && missing.every((right, at) => right === this.#missing[at]);
    this.#missing = missing;
    if (!same) this.#options.changed(missing);
    this.#running = null;
    const { fullMs, missingMs, restMs } = this.#times;
    if (this.#suspected) this.#schedule(Math.max(0, this.#fullMs + fullMs - performance.now()));
    this.#schedule(missing.length > 0 ? missingMs : restMs);
  }

  /** Rights that can't be checked keep their last result. */
  async #lostOf(rights: readonly Right[]): Promise<Set<Right>> {
    const lost = new Set<Right>();
    const before = new Set(this.#missing);
    await eachOf(rights, asksAtOnce, async (right) => {
      const allowed = await this.#options.allowed(right).catch(() => !before.has(right));
      if (allowed === false) lost.add(right);
    });
    return lost;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#running;
  }
}
