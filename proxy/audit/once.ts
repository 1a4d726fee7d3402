/** Takes each record once, though it be written twice or kept in two places. A bit for each, in blocks. */
const blockBits = 65_536;

export class Once {
  readonly #blocks = new Map<string, Uint8Array>();

  /** false for one that was taken before. */
  take(chain: string, seq: number): boolean {
    const name = `${chain}/${Math.floor(seq / blockBits)}`;
    const block = this.#blocks.get(name) ?? new Uint8Array(blockBits / 8);
    this.#blocks.set(name, block);
    const at = seq % blockBits;
    const bit = 1 << (at & 7);
    const old = block[at >> 3] ?? 0;
    block[at >> 3] = old | bit;
    return (old & bit) === 0;
  }
}
