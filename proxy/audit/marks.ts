/** The records of a chain seen so far, by number and digest, in 16 bytes each: a log of years has many millions. */
import { Buffer } from "node:buffer";

const bytes = 16;
const atFirst = 64;

/** Consecutive records. */
class Run {
  readonly first: number;
  #digests = Buffer.alloc(bytes * atFirst);
  #count = 0;

  constructor(first: number) {
    this.first = first;
  }

  get next(): number {
    return this.first + this.#count;
  }

  add(hash: string): void {
    if (this.#count * bytes === this.#digests.length)
      this.#digests = Buffer.concat([this.#digests, Buffer.alloc(this.#digests.length)]);
    this.#digests.write(hash.slice(0, 2 * bytes), bytes * this.#count++, "hex");
  }

  has(seq: number, hash: string): boolean {
    const index = bytes * (seq - this.first);
    return seq < this.next && this.#digests.toString("hex", index, index + bytes) === hash.slice(0, 2 * bytes);
  }
}

export class AuditMarks {
  readonly #runs: Run[] = [];

  /** `seq`: higher than all before. */
  add(seq: number, hash: string): void {
    let run = this.#runs.at(-1);
    if (run === undefined || run.next !== seq) {
      run = new Run(seq);
      this.#runs.push(run);
    }
    run.add(hash);
  }

  has(seq: number, hash: string): boolean {
    return this.#runs.findLast(({ first }) => first <= seq)?.has(seq, hash) ?? false;
  }
}
