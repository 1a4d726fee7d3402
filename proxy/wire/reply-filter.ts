/** A filter that an answer passes on its way to the client. */

import type { Failure } from "../failure.ts";

/** A filter could not do its work, so the answer must not be sent. */
export class FilterError extends Error {
  override readonly name = "FilterError";
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** May change the answer. Failures bypass filters. */
export interface ReplyFilter {
  /** Filters the body of a whole answer. Takes a moment if that is done elsewhere. */
  whole(body: Uint8Array | string): Uint8Array | string | Promise<Uint8Array | string>;
  /** Filters bytes of a stream, split at any position. Returns what to send now. */
  chunk(bytes: Uint8Array | string): Uint8Array | string;
  /** The stream ended completely. Returns what was still held. */
  last(): Uint8Array | string;
}

/** A chain of filters. */
export class ReplyFilters {
  /** The filters, in the order in which the answer passes them. */
  readonly #filters: ReplyFilter[] = [];
  /** How many filters stay ahead of those added later. */
  #firsts = 0;

  /** Adds a filter that the answer passes before those added earlier. */
  add(filter: ReplyFilter): void {
    this.#filters.splice(this.#firsts, 0, filter);
  }

  /** Adds a filter that the answer passes before all others, whenever those are added. */
  addFirst(filter: ReplyFilter): void {
    this.#filters.unshift(filter);
    this.#firsts++;
  }

  whole(body: Uint8Array | string): Uint8Array | string | Promise<Uint8Array | string> {
    return this.#filters.reduce<Uint8Array | string | Promise<Uint8Array | string>>(
      (bytes, filter) =>
        bytes instanceof Promise ? bytes.then((filtered) => filter.whole(filtered)) : filter.whole(bytes),
      body,
    );
  }

  chunk(bytes: Uint8Array | string): Uint8Array | string {
    return this.#filters.reduce((part, filter) => filter.chunk(part), bytes);
  }

  /** Returns what each filter still held, passed through the filters after it. */
  last(): (Uint8Array | string)[] {
    return this.#filters.flatMap((filter, index) => {
      const held = filter.last();
      return held.length === 0 ? [] : [this.#filters.slice(index + 1).reduce((part, next) => next.chunk(part), held)];
    });
  }
}
