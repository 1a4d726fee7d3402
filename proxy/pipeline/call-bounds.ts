/** What a call can use, before it is made. */

/** An estimate of the tokens that a call will count, for token limits. */
export interface ExpectedTokens {
  prompt: number;
  /** The caller's cap, or the usual length of this model's answers; null if neither is known. */
  answer: number | null;
}

export interface WorstCost {
  /** nano-USD at the most expensive target. */
  nanoUsd: number;
  /** A cap that must be sent because nothing else limits the answer; null if something does. */
  cap: number | null;
}
