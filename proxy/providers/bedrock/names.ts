/**
 * Tool names that Converse accepts
 * (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolSpecification.html), and the way back.
 */
import { createHash } from "node:crypto";

const allowed = /^[A-Za-z0-9_-]{1,64}$/;

export class ToolNames {
  readonly #originals = new Map<string, string>();

  /** Equal names have equal results in every request. */
  encode(name: string): string {
    if (allowed.test(name)) return name;
    const digest = createHash("sha256").update(name).digest("hex").slice(0, 12);
    const encoded = `${name.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 51)}_${digest}`;
    this.#originals.set(encoded, name);
    return encoded;
  }

  decode(name: string): string {
    return this.#originals.get(name) ?? name;
  }
}
