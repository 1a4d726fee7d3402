/** The certificates that sign the gateway's, re-read while calls come, so that a renewed authority needs no restart. */
import { readFile } from "node:fs/promises";
import { bundleProblem } from "../config/certificates.ts";

const keptMs = 10_000;
/** Throws an Error where the text is not at least one certificate, and nothing but certificates. */
function checked(pem: string): string {
  const problem = bundleProblem(pem);
  if (problem !== null) throw new Error(problem);
  return pem;
}

export class FleetAuthority {
  readonly #file: string;
  readonly #nowMs: () => number;
  readonly #rejected: (cause: unknown) => void;
  #pem: string;
  #readMs: number;

  private constructor(file: string, pem: string, nowMs: () => number, rejected: (cause: unknown) => void) {
    this.#file = file;
    this.#pem = pem;
    this.#nowMs = nowMs;
    this.#readMs = nowMs();
    this.#rejected = rejected;
  }

  /** Rejects where the file can't be read or is no certificate: a sidecar that trusts nothing must not start. */
  static async read(file: string, nowMs: () => number, rejected: (cause: unknown) => void): Promise<FleetAuthority> {
    try {
      return new FleetAuthority(file, checked(await readFile(file, "utf8")), nowMs, rejected);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`--ca-file ${file}: ${why}. It must be PEM certificates.`, { cause });
    }
  }

  /** The last good certificates, in PEM. */
  async current(): Promise<string> {
    const now = this.#nowMs();
    if (now - this.#readMs < keptMs) return this.#pem;
    this.#readMs = now;
    try {
      this.#pem = checked(await readFile(this.#file, "utf8"));
    } catch (cause) {
      this.#rejected(cause);
    }
    return this.#pem;
  }
}
