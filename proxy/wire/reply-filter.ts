/** What sees an answer on its way to the client. */

/** May change it. Failures don't pass through it. */
export interface ReplyFilter {
  /** A whole answer's body. */
  whole(body: Uint8Array | string): Uint8Array | string;
  /** Bytes of a stream, cut anywhere; what goes on now. */
  chunk(bytes: Uint8Array | string): Uint8Array | string;
  /** The stream came to its proper end; what was still held back. */
  last(): Uint8Array | string;
}

/** Several, one behind the other. */
export class ReplyFilters {
  /** Nearest to the gateway first. */
  readonly #filters: ReplyFilter[] = [];
  /** So many of them stay before those that are added later. */
  #firsts = 0;

  /** The answer meets this filter before those that were added earlier. */
  add(filter: ReplyFilter): void {
    this.#filters.splice(this.#firsts, 0, filter);
  }

  /** The answer meets this filter before all others, whenever they are added. */
  addFirst(filter: ReplyFilter): void {
    this.#filters.unshift(filter);
    this.#firsts++;
  }

  whole(body: Uint8Array | string): Uint8Array | string {
    return this.#filters.reduce((bytes, filter) => filter.whole(bytes), body);
  }

  chunk(bytes: Uint8Array | string): Uint8Array | string {
    return this.#filters.reduce((part, filter) => filter.chunk(part), bytes);
  }

  /** What each still held back, through those behind it. */
  last(): (Uint8Array | string)[] {
    return this.#filters.flatMap((filter, at) => {
      const held = filter.last();
      return held.length === 0 ? [] : [this.#filters.slice(at + 1).reduce((part, next) => next.chunk(part), held)];
    });
  }
}
