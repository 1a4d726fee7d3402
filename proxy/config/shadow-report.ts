/** Comparisons of calls with their copies, as proxies serve them on the status port and reports read them. */

/** Why a call was not copied. */
export const shadowDrops = ["full", "memory", "budget", "unavailable", "no_model", "kept_state", "stopping"] as const;
export type ShadowDrop = (typeof shadowDrops)[number];

/** A call, or its copy. */
export interface ComparedCall {
  /** `namespace/name` of the provider. */
  provider: string;
  /** The provider's own name for the model. */
  model: string;
  status: number;
  /** Whether it was answered to its end. */
  ok: boolean;
  inputTokens: number;
  outputTokens: number;
  /** null if no price is known. */
  costNanoUsd: number | null;
  durationMs: number;
}

export interface Comparison {
  /** `namespace/name` of the policy. */
  policy: string;
  /** The model as callers name it. */
  model: string;
  call: ComparedCall;
  copy: ComparedCall;
  /** From 0 to 1; null if there is nothing to compare. */
  similarity: number | null;
}

/** Sums over calls, or over their copies. */
export interface ComparedSide {
  ok: number;
  inputTokens: number;
  outputTokens: number;
  /** Calls with a known cost. */
  priced: number;
  costNanoUsd: number;
  /** Durations by bucket, as `durationBucket` counts them. */
  durations: Record<string, number>;
}

/** Comparisons of one policy, model and pair of targets. */
export interface ShadowRow {
  policy: string;
  model: string;
  /** `provider model` of the calls, and of their copies. */
  target: string;
  shadow: string;
  pairs: number;
  call: ComparedSide;
  copy: ComparedSide;
  /** Copies by status. */
  statuses: Record<string, number>;
  /** Copies that were compared, and the sum of their similarities. */
  compared: number;
  similarity: number;
  /** Compared copies by similarity in twentieths: 19 is 0.95 and more. */
  similarities: Record<string, number>;
}

/** From, and before, as milliseconds since 1970. */
export interface ShadowSpan {
  fromMs: number;
  toMs: number;
}

/** A reply of the status port at /shadow. */
export interface ShadowReading {
  /** Identifies this run of this proxy. */
  instance: string;
  /** When it began to count. */
  since: string;
  /** Since when hours are kept apart. Proxies of older versions, which don't, leave it out. */
  keptFrom?: string;
  rows: ShadowRow[];
  dropped: { policy: string; reason: ShadowDrop; calls: number }[];
}

const growth = Math.log(1.05);

/** Buckets grow by a twentieth, so that a percentile is off by no more than that. */
export const durationBucket = (ms: number): number => (ms < 1 ? 0 : Math.floor(Math.log(ms) / growth) + 1);

/** The upper bound of a bucket. */
const durationOf = (bucket: number): number => (bucket === 0 ? 1 : Math.exp(bucket * growth));

const twentieth = (similarity: number): number => Math.min(19, Math.max(0, Math.floor(similarity * 20 + 1e-9)));

const newSide = (): ComparedSide => ({
  ok: 0,
  inputTokens: 0,
  outputTokens: 0,
  priced: 0,
  costNanoUsd: 0,
  durations: {},
});

const place = ({ provider, model }: ComparedCall): string => `${provider} ${model}`;

const rowKey = ({ policy, model, target, shadow }: Pick<ShadowRow, "policy" | "model" | "target" | "shadow">): string =>
  JSON.stringify([policy, model, target, shadow]);

function increment(counts: Record<string, number>, key: number | string, by = 1): void {
  counts[key] = (counts[key] ?? 0) + by;
}

function addCall(side: ComparedSide, call: ComparedCall): void {
  if (call.ok) side.ok++;
  side.inputTokens += call.inputTokens;
  side.outputTokens += call.outputTokens;
  if (call.costNanoUsd !== null) side.priced++;
  side.costNanoUsd += call.costNanoUsd ?? 0;
  increment(side.durations, durationBucket(call.durationMs));
}

function addSide(sum: ComparedSide, side: ComparedSide): void {
  for (const name of ["ok", "inputTokens", "outputTokens", "priced", "costNanoUsd"] as const) sum[name] += side[name];
  for (const [bucket, count] of Object.entries(side.durations)) increment(sum.durations, bucket, count);
}

/** Rows by policy, model and pair of targets. */
export class ShadowRows {
  readonly #rows = new Map<string, ShadowRow>();
  readonly #most: number;

  /** `most`: beyond this many rows, comparisons are added up under the model `other`. */
  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most;
  }

  #row(key: Pick<ShadowRow, "policy" | "model" | "target" | "shadow">): ShadowRow {
    const cached = this.#rows.get(rowKey(key));
    if (cached !== undefined) return cached;
    if (this.#rows.size >= this.#most && key.model !== "other")
      return this.#row({ policy: key.policy, model: "other", target: "", shadow: "" });
    const { policy, model, target, shadow } = key;
    const row: ShadowRow = {
      ...{ policy, model, target, shadow, pairs: 0, call: newSide(), copy: newSide() },
      ...{ statuses: {}, compared: 0, similarity: 0, similarities: {} },
    };
    this.#rows.set(rowKey(key), row);
    return row;
  }

  add({ policy, model, call, copy, similarity }: Comparison): void {
    const row = this.#row({ policy, model, target: place(call), shadow: place(copy) });
    row.pairs++;
    addCall(row.call, call);
    addCall(row.copy, copy);
    increment(row.statuses, copy.status);
    if (similarity === null) return;
    row.compared++;
    row.similarity += similarity;
    increment(row.similarities, twentieth(similarity));
  }

  /** Adds a row of another proxy. */
  merge(other: ShadowRow): void {
    const row = this.#row(other);
    row.pairs += other.pairs;
    addSide(row.call, other.call);
    addSide(row.copy, other.copy);
    for (const [status, count] of Object.entries(other.statuses)) increment(row.statuses, status, count);
    row.compared += other.compared;
    row.similarity += other.similarity;
    for (const [bucket, count] of Object.entries(other.similarities)) increment(row.similarities, bucket, count);
  }

  get size(): number {
    return this.#rows.size;
  }

  list(): ShadowRow[] {
    return [...this.#rows.values()];
  }
}

/** The bucket below which this share of the counts lies; null if there are none. */
function quantileBucket(counts: Readonly<Record<string, number>>, share: number): number | null {
  const buckets = Object.entries(counts)
    .map(([bucket, count]) => [Number(bucket), count] as const)
    .sort(([a], [b]) => a - b);
  const rank = Math.max(1, Math.ceil(share * buckets.reduce((sum, [, count]) => sum + count, 0)));
  let below = 0;
  for (const [bucket, count] of buckets) {
    below += count;
    if (below >= rank) return bucket;
  }
  return null;
}

/** In milliseconds; null if nothing was counted. `share`: 0.95 for the 95th percentile. */
export function durationQuantile({ durations }: ComparedSide, share: number): number | null {
  const bucket = quantileBucket(durations, share);
  return bucket === null ? null : Math.round(durationOf(bucket));
}

/** What at least nine in ten compared copies reach, rounded down to a twentieth; null if none was compared. */
export function lowSimilarity({ similarities }: ShadowRow): number | null {
  const bucket = quantileBucket(similarities, 0.1);
  return bucket === null ? null : bucket / 20;
}
