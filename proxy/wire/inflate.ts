/**
 * Decodes compressed answers (https://www.rfc-editor.org/rfc/rfc9110#name-content-encoding), which arrive even though
 * the gateway doesn't ask for them. The reader bounds the inflated size: what it doesn't read is not inflated.
 */
import type { Buffer } from "node:buffer";
import { finished, pipeline, type Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw, createZstdDecompress } from "node:zlib";

export interface Inflated {
  /** Returns false to pause until `resume`. */
  data(chunk: Buffer): boolean;
  end(): void;
  failed(cause: Error): void;
}

type Decoder = () => Transform;

/** `deflate` means zlib's format, but some servers send raw deflate: the first byte tells them apart. */
const decoders: Readonly<Record<string, (first: number) => Decoder>> = {
  gzip: () => createGunzip,
  "x-gzip": () => createGunzip,
  deflate: (first) => ((first & 0x0f) === 8 ? createInflate : createInflateRaw),
  br: () => createBrotliDecompress,
  zstd: () => createZstdDecompress,
};

/** Most encodings in a row. No server has a reason to use more. */
const maxEncodings = 2;

/** The content encodings, outermost first; empty for an answer that is not compressed. */
export function encodingsOf(header: string | string[] | undefined): string[] {
  if (header === undefined) return [];
  return String(header)
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "" && name !== "identity")
    .reverse();
}

export class Inflater {
  readonly #encodings: readonly string[];
  readonly #to: Inflated;
  #first: Transform | null = null;
  #last: Transform | null = null;
  #over = false;
  /** Whether the compressed side is full. */
  #full: (() => void) | null = null;

  constructor(encodings: readonly string[], to: Inflated) {
    this.#encodings = encodings;
    this.#to = to;
  }

  /** Returns false if what was written must be inflated first; `drained` is called after that. */
  write(chunk: Buffer, drained: () => void): boolean {
    if (this.#over || chunk.length === 0) return true;
    const first = this.#first ?? this.#open(chunk[0] ?? 0);
    if (first === null || first.write(chunk)) return true;
    this.#full = drained;
    return false;
  }

  end(): void {
    if (this.#over) return;
    if (this.#first === null) this.#finish();
    else this.#first.end();
  }

  resume(): void {
    this.#last?.resume();
  }

  destroy(): void {
    this.#over = true;
    this.#first?.destroy();
    this.#last?.destroy();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#to.end();
  }

  #fail(cause: Error): void {
    if (this.#over) return;
    this.destroy();
    this.#to.failed(cause);
  }

  #open(firstByte: number): Transform | null {
    const made = this.#encodings.map((name, index) => decoders[name]?.(index === 0 ? firstByte : 8));
    if (made.length > maxEncodings || made.includes(undefined)) {
      this.#fail(new Error(`the answer is encoded as ${this.#encodings.join(", ")}`));
      return null;
    }
    const chain = made.flatMap((make) => (make === undefined ? [] : [make()]));
    const [first] = chain;
    const last = chain.at(-1);
    if (first === undefined || last === undefined) return null;
    this.#first = first;
    this.#last = last;
    if (chain.length > 1) pipeline(chain, () => undefined);
    for (const stream of chain) stream.on("error", (cause) => this.#fail(cause));
    first.on("drain", () => {
      const drained = this.#full;
      this.#full = null;
      drained?.();
    });
    last.on("data", (out: Buffer) => {
      if (!this.#over && !this.#to.data(out)) last.pause();
    });
    finished(last, { writable: false }, (cause) => (cause ? this.#fail(cause) : this.#finish()));
    return first;
  }
}
