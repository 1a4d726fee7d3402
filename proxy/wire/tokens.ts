/**
 * Short-lived tokens for upstreams: fetched once for all waiting calls, renewed at 80 % of their lifetime. A token that
 * can't be renewed stays in use until it expires.
 */
interface Held<Value> {
  value: Value;
  renewAtMs: number;
  expiresAtMs: number;
}

interface Failed {
  error: unknown;
  count: number;
  retryAtMs: number;
}

/** After a failed renewal, the old token is used for this long before the next attempt. */
const renewalPauseMs = 5_000;
const maxPauseMs = 30_000;

export class TokenCache<Value = string> {
  readonly #held = new Map<string, Held<Value>>();
  readonly #making = new Map<string, Promise<Value>>();
  readonly #failed = new Map<string, Failed>();
  readonly #nowMs: () => number;
  readonly #pauseMs: number;

  /**
   * `pauseMs`: how long all callers get the same failure before the next attempt. Doubles with each further failure.
   */
  constructor(nowMs: () => number, pauseMs = 0) {
    this.#nowMs = nowMs;
    this.#pauseMs = pauseMs;
  }

  token(key: string, make: () => Promise<{ value: Value; expiresAtMs: number }>): Promise<Value> {
    const held = this.#held.get(key);
    if (held && this.#nowMs() < held.renewAtMs) return Promise.resolve(held.value);
    const making = this.#making.get(key);
    if (making !== undefined) return making;
    const failed = this.#failed.get(key);
    if (failed !== undefined && this.#nowMs() < failed.retryAtMs) return Promise.reject(failed.error);
    const began = this.#nowMs();
    const made = make()
      .then(
        ({ value, expiresAtMs }) => {
          this.#held.set(key, { value, expiresAtMs, renewAtMs: began + (expiresAtMs - began) * 0.8 });
          this.#failed.delete(key);
          return value;
        },
        (error: unknown) => this.#withoutNew(key, error),
      )
      .finally(() => this.#making.delete(key));
    this.#making.set(key, made);
    return made;
  }

  /** The old token, if it is still valid. */
  #withoutNew(key: string, error: unknown): Value {
    const nowMs = this.#nowMs();
    const held = this.#held.get(key);
    if (held !== undefined && nowMs < held.expiresAtMs) {
      held.renewAtMs = Math.min(nowMs + renewalPauseMs, held.expiresAtMs);
      return held.value;
    }
    const count = (this.#failed.get(key)?.count ?? 0) + 1;
    const pauseMs = Math.min(this.#pauseMs * 2 ** (count - 1), maxPauseMs);
    if (pauseMs > 0) this.#failed.set(key, { error, count, retryAtMs: nowMs + pauseMs });
    throw error;
  }

  forget(key: string): void {
    this.#held.delete(key);
  }
}
