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

type Part = Uint8Array | string;

/** A promise if the work is too long for one turn of the event loop. */
export type Filtered = Part | Promise<Part>;

/** May change the answer. Failures bypass filters. */
export interface ReplyFilter {
  /** Filters the body of a whole answer. */
  whole(body: Part): Filtered;
  /** Filters bytes of a stream, split at any position. Returns what to send now. Called again only after that. */
  chunk(bytes: Part): Filtered;
  /** The stream ended completely. Returns what was still held. */
  last(): Part;
}

/** Through these filters, one after the other. */
function passed(from: Part, filters: readonly ReplyFilter[], method: "whole" | "chunk"): Filtered {
  let part: Filtered = from;
  for (const filter of filters)
    part = part instanceof Promise ? part.then((ready) => filter[method](ready)) : filter[method](part);
  return part;
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

  whole(body: Part): Filtered {
    return passed(body, this.#filters, "whole");
  }

  chunk(bytes: Part): Filtered {
    return passed(bytes, this.#filters, "chunk");
  }

  /** Returns what each filter still held, passed through the filters after it. */
  last(): Filtered[] {
    return this.#filters.flatMap((filter, index) => {
      const held = filter.last();
      return held.length === 0 ? [] : [passed(held, this.#filters.slice(index + 1), "chunk")];
    });
  }
}
