/** Rows of the usage ledger, as proxies serve them on the status port and reports read them. */

/** One row of the ledger: the totals of one UTC hour for one combination of dimensions. */
export interface LedgerRow {
  /** Start of the hour, in epoch milliseconds. */
  hourMs: number;
  namespace: string;
  user: string;
  team: string;
  role: string;
  key: string;
  route: string;
  model: string;
  provider: string;
  requests: number;
  errors: number;
  promptTokens: number;
  cachedTokens: number;
  cacheWriteTokens: number;
  completionTokens: number;
  reasoningTokens: number;
  costNanoUsd: number;
  /** What images, audio and reranking used; absent from proxies of older versions. */
  images?: number;
  characters?: number;
  audioSeconds?: number;
  searchUnits?: number;
  /** Requests whose usage the gateway had to estimate. */
  estimated: number;
  /** Requests with usage whose model has no price. */
  unpriced: number;
}

/**
 * The user of rows that add up copies of calls to a policy's shadow. No caller can have this name, and no budget counts
 * such rows.
 */
export const shadowUser = "(shadow)";

/** What calls to images, audio and reranking use, by the units of prices. */
export const unitMeasures = {
  image: "images",
  character: "characters",
  audioSecond: "audioSeconds",
  searchUnit: "searchUnits",
} as const;
export type MeasuredUnit = keyof typeof unitMeasures;
export const measuredUnits = Object.keys(unitMeasures) as MeasuredUnit[];

/** What tells rows of one hour apart, in the order of row keys. */
export const ledgerDimensions = ["namespace", "user", "team", "role", "key", "route", "model", "provider"] as const;
export type LedgerDimension = (typeof ledgerDimensions)[number];

export const ledgerMeasures = [
  "requests",
  "errors",
  "promptTokens",
  "cachedTokens",
  "cacheWriteTokens",
  "completionTokens",
  "reasoningTokens",
  "costNanoUsd",
  "estimated",
  "unpriced",
  "images",
  "characters",
  "audioSeconds",
  "searchUnits",
] as const;
export type LedgerMeasure = (typeof ledgerMeasures)[number];
