/** Accepts each record once, even if it was written twice or is kept in two places. One bit per record, in blocks. */
const blockBits = 65_536;

export class Once {
  readonly #blocks = new Map<string, Uint8Array>();

  /** false if the record was accepted before. */
  take(chain: string, seq: number): boolean {
    const name = `${chain}/${Math.floor(seq / blockBits)}`;
    const block = this.#blocks.get(name) ?? new Uint8Array(blockBits / 8);
    this.#blocks.set(name, block);
    const bitIndex = seq % blockBits;
    const bit = 1 << (bitIndex & 7);
    const old = block[bitIndex >> 3] ?? 0;
    block[bitIndex >> 3] = old | bit;
    return (old & bit) === 0;
  }
}
