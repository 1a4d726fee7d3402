/** Short-lived tokens for upstreams: fetched once for all waiting calls, renewed at 80 % of their lifetime. */
interface Held {
  value: string;
  renewAtMs: number;
}

export class TokenCache {
  readonly #held = new Map<string, Held>();
  readonly #making = new Map<string, Promise<string>>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  token(key: string, make: () => Promise<{ value: string; expiresAtMs: number }>): Promise<string> {
    const held = this.#held.get(key);
    if (held && this.#nowMs() < held.renewAtMs) return Promise.resolve(held.value);
    const making = this.#making.get(key);
    if (making !== undefined) return making;
    const began = this.#nowMs();
    const made = make()
      .then(({ value, expiresAtMs }) => {
        this.#held.set(key, { value, renewAtMs: began + (expiresAtMs - began) * 0.8 });
        return value;
      })
      .finally(() => this.#making.delete(key));
    this.#making.set(key, made);
    return made;
  }

  forget(key: string): void {
    this.#held.delete(key);
  }
}
