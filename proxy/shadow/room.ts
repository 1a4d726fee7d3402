/** What all copies of a proxy may hold at once: memory, and for each policy, copies under way. */

/** Most bytes of requests and answers that copies hold together. */
const defaultMaxBytes = 67_108_864;

export class ShadowRoom {
  readonly #maxBytes: number;
  readonly #underWay = new Map<string, number>();
  #bytes = 0;

  constructor(maxBytes = defaultMaxBytes) {
    this.#maxBytes = maxBytes;
  }

  get heldBytes(): number {
    return this.#bytes;
  }

  get underWay(): number {
    return [...this.#underWay.values()].reduce((sum, count) => sum + count, 0);
  }

  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.#maxBytes) return false;
    this.#bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }

  isFull(route: string, most: number): boolean {
    return (this.#underWay.get(route) ?? 0) >= most;
  }

  enter(route: string): void {
    this.#underWay.set(route, (this.#underWay.get(route) ?? 0) + 1);
  }

  leave(route: string): void {
    const left = (this.#underWay.get(route) ?? 0) - 1;
    if (left > 0) this.#underWay.set(route, left);
    else this.#underWay.delete(route);
  }
}
