/** Possible causes of a difference between invoice and ledger. Pure. */
import type { LedgerRow } from "../../proxy/config/ledger.ts";
import { type Sums, tokensOf, usd } from "../../proxy/config/usage-report.ts";
import type { Billed, Cause, Compared } from "./compared.ts";

const count = (value: number, noun: string): string =>
  `${value.toLocaleString("en-US")} ${value === 1 ? noun : `${noun}s`}`;

const sentences: { [K in Cause["kind"]]: (cause: Extract<Cause, { kind: K }>) => string } = {
  rounding: () => "The invoice's amounts are rounded.",
  "not in the ledger": () =>
    "The ledger has no use of this model: it was called outside the gateway, or has another name there (--model).",
  "not on the invoice": () =>
    "The invoice has no use of this model: it isn't billed yet, belongs to another account, or has another name there (--model).",
  "more on the invoice": ({ requests, tokens }) =>
    `The invoice has ${requests === null || requests <= 0 ? "" : `${count(requests, "request")} and `}${count(tokens, "token")} more: calls outside the gateway, or of a proxy whose ledger is missing.`,
  "less on the invoice": ({ requests, tokens }) =>
    `The ledger has ${requests === null || requests <= 0 ? "" : `${count(requests, "request")} and `}${count(tokens, "token")} more: use that isn't billed yet, or that the provider doesn't bill, such as of answers that broke off.`,
  "cached tokens": ({ billed, ledger }) =>
    `The invoice has ${count(billed, "token")}, which were read from or written to the cache, the ledger ${ledger.toLocaleString("en-US")}: cached tokens have prices of their own.`,
  price: ({ share }) =>
    `The same use costs ${share} times as much on the invoice: a discount, another service tier or region, or a price that changed. See docs/prices.md.`,
  unpriced: ({ requests }) => `Without a price: ${count(requests, "call")} in the ledger. Set one on the LLMProvider.`,
  estimated: ({ requests, of }) =>
    `Usage that Sluice estimated: ${requests.toLocaleString("en-US")} of ${count(of, "call")} in the ledger.`,
  "amount only": () =>
    "The export has no tokens: add the usage export, which tells calls outside the gateway from another price.",
  "time-zone": ({ shiftHours }) =>
    `The figures agree if days begin ${Math.abs(shiftHours)} hours ${shiftHours > 0 ? "later" : "earlier"}: the export's days are those of another time zone (--time-zone).`,
};

export const sentenceOf = (cause: Cause): string => (sentences[cause.kind] as (cause: Cause) => string)(cause);

const large = (value: bigint): bigint => (value < 0n ? -value : value);

const tokensBilled = (tokens: NonNullable<Billed["tokens"]>): number =>
  tokens.uncached + tokens.cached + tokens.cacheWrite + tokens.output;

/** Each ledger row and each attempt is rounded to a nano-USD when it is priced. */
const isRounding = ({ costNano, roundingNano }: Billed, ledger: Sums): boolean =>
  costNano !== null && large(costNano - ledger.costNanoUsd) <= roundingNano + BigInt(ledger.requests);

const within = (a: number, b: number, share: number): boolean => Math.abs(a - b) <= share * Math.abs(a);

/** Reasons to doubt the ledger's own figures. */
function doubtsOf(ledger: Sums): Cause[] {
  const { unpriced, estimated, requests } = ledger;
  return [
    ...(unpriced > 0 ? [{ kind: "unpriced" as const, requests: unpriced }] : []),
    ...(estimated > 0 ? [{ kind: "estimated" as const, requests: estimated, of: requests }] : []),
  ];
}

function tokenCauses(billed: Billed, ledger: Sums, share: number): Cause[] {
  const { tokens, requests } = billed;
  if (tokens === null) return [];
  const [there, here] = [tokensBilled(tokens), tokensOf(ledger)];
  const [cachedThere, cachedHere] = [tokens.cached + tokens.cacheWrite, ledger.cachedTokens + ledger.cacheWriteTokens];
  const moreRequests = requests === null ? null : requests - ledger.requests;
  if (!within(there, here, share)) {
    const more = there - here;
    if (more > 0) return [{ kind: "more on the invoice", requests: moreRequests, tokens: more }];
    return [{ kind: "less on the invoice", requests: moreRequests === null ? null : -moreRequests, tokens: -more }];
  }
  if (!within(cachedThere, cachedHere, share))
    return [{ kind: "cached tokens", billed: cachedThere, ledger: cachedHere }];
  return [];
}

/** Empty if both sides agree. */
export function causesOf({ billed, ledger }: Compared, toleranceShare: number): Cause[] {
  if (ledger === null) return [{ kind: "not in the ledger" }];
  if (billed === null) return [{ kind: "not on the invoice" }];
  const { costNano, tokens } = billed;
  const ofTokens = tokenCauses(billed, ledger, toleranceShare);
  const difference = costNano === null ? 0n : costNano - ledger.costNanoUsd;
  const isSmall = Number(large(difference)) <= toleranceShare * Number(large(costNano ?? 0n));
  if (isSmall) return ofTokens.length === 0 ? [] : [...ofTokens, ...doubtsOf(ledger)];
  if (ofTokens.length > 0) return [...ofTokens, ...doubtsOf(ledger)];
  if (isRounding(billed, ledger)) return [{ kind: "rounding" }];
  const doubts = doubtsOf(ledger);
  if (tokens === null) return [...doubts, { kind: "amount only" }];
  if (ledger.costNanoUsd === 0n)
    return doubts.length > 0 ? doubts : [{ kind: "price", share: Number.POSITIVE_INFINITY }];
  const share = Math.round((Number(costNano) / Number(ledger.costNanoUsd)) * 1000) / 1000;
  return [...doubts, { kind: "price", share }];
}

/** The largest offset of any time zone. */
const maxHours = 14;

/**
 * How many hours later days must begin so that a model's figures nearly agree; null if the time zone isn't the cause,
 * or if there is only one day.
 */
export function shiftOf(model: string, all: readonly Compared[], rows: readonly LedgerRow[]): number | null {
  const own = all.filter((compared) => compared.model === model);
  if (own.length < 2 || own.some(({ billed }) => billed === null)) return null;
  const byTokens = own.every(({ billed }) => billed?.tokens !== null);
  const billed = own.map((compared) =>
    byTokens ? tokensBilled(compared.billed?.tokens as never) : Number(compared.billed?.costNano),
  );
  const used = rows.filter((row) => row.model === model);
  const errorAt = (hours: number): number => {
    const sums = own.map(() => 0);
    for (const row of used) {
      const ms = row.hourMs - hours * 3_600_000;
      const index = own.findIndex(({ startMs, endMs }) => startMs <= ms && ms < endMs);
      if (index >= 0)
        sums[index] = (sums[index] ?? 0) + (byTokens ? row.promptTokens + row.completionTokens : row.costNanoUsd);
    }
    return sums.reduce((error, sum, index) => error + Math.abs(sum - (billed[index] ?? 0)), 0);
  };
  const now = errorAt(0);
  let best = { hours: 0, error: now };
  for (let hours = 1; hours <= maxHours; hours++)
    for (const shift of [hours, -hours]) {
      const error = errorAt(shift);
      if (error < best.error) best = { hours: shift, error };
    }
  return best.hours !== 0 && best.error * 10 <= now ? best.hours : null;
}

export const signedUsd = (nano: bigint): string => (nano < 0n ? `-${usd(-nano)}` : usd(nano));
