/** The Pod's token as kubelet last wrote it. Re-read every few seconds while calls come; reading costs next to nothing. */
import { readFile } from "node:fs/promises";

const keptMs = 2_000;
const maxLength = 8_192;

export class ProjectedToken {
  readonly #file: string;
  readonly #nowMs: () => number;
  #value: string | null = null;
  #readMs = Number.NEGATIVE_INFINITY;

  constructor(file: string, nowMs: () => number) {
    this.#file = file;
    this.#nowMs = nowMs;
  }

  /** null if there is none yet, or it is no token. */
  async current(): Promise<string | null> {
    const now = this.#nowMs();
    if (this.#value !== null && now - this.#readMs < keptMs) return this.#value;
    const text = await readFile(this.#file, "utf8").catch(() => "");
    const token = text.trim();
    // Nothing else in the file may become part of a header.
    this.#value = token.length > 0 && token.length <= maxLength && /^[\w.~+/=-]+$/.test(token) ? token : null;
    this.#readMs = now;
    return this.#value;
  }
}
