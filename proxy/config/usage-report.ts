/** Totals from the usage ledger for reports. Pure; money stays integer nano-USD until it is shown. */
import {
  type LedgerDimension,
  type LedgerMeasure,
  type LedgerRow,
  ledgerDimensions,
  ledgerMeasures,
} from "./ledger.ts";
import { localStamp } from "./periods.ts";

/** Lengths of a local time such as `2027-02-01T14` that name its hour, day and month. */
const stampLengths = { hour: 13, day: 10, month: 7 };
type TimeGrouping = keyof typeof stampLengths;

/** What a report can be grouped by, besides `label:KEY`. */
export const groupings = [...ledgerDimensions, "hour", "day", "month", "tag"] as const;
export type Grouping = (typeof groupings)[number] | `label:${string}`;

export const isGrouping = (name: string): name is Grouping =>
  (groupings as readonly string[]).includes(name) || /^label:./.test(name);

/** What is known of an ApiKey now; the ledger has nothing of it. */
export interface KeyFacts {
  tags: readonly string[];
  labels: Readonly<Record<string, string>>;
}

export interface GroupOptions {
  /** Zone of hours, days and months; default UTC. */
  timeZone?: string;
  /** By `namespace/name`. */
  keys?: Readonly<Record<string, KeyFacts>>;
}

type CountMeasure = Exclude<LedgerMeasure, "costNanoUsd">;

/** Totals of rows. A sum of money can exceed what a number holds exactly: 2^53 nano-USD are USD 9,007,199. */
export type Sums = Record<CountMeasure, number> & { costNanoUsd: bigint };

export interface Group {
  /** In the requested order. */
  by: Partial<Record<Grouping, string>>;
  sums: Sums;
}

const isTime = (grouping: Grouping): grouping is TimeGrouping => grouping in stampLengths;

/** A row has one value, or one for each tag of its key. */
function groupValues(row: LedgerRow, grouping: Grouping, { timeZone = "UTC", keys = {} }: GroupOptions): string[] {
  if (isTime(grouping)) return [localStamp(timeZone, row.hourMs).slice(0, stampLengths[grouping])];
  const facts = keys[row.key];
  if (grouping === "tag") return facts === undefined || facts.tags.length === 0 ? [""] : [...facts.tags];
  if (grouping.startsWith("label:")) return [facts?.labels[grouping.slice("label:".length)] ?? ""];
  return [row[grouping as LedgerDimension]];
}

const countMeasures = ledgerMeasures.filter((name): name is CountMeasure => name !== "costNanoUsd");

export const noSums = (): Sums =>
  ({ ...Object.fromEntries(countMeasures.map((name) => [name, 0])), costNanoUsd: 0n }) as Sums;

export function addTo(sums: Sums, row: LedgerRow): void {
  for (const name of countMeasures) sums[name] = (sums[name] ?? 0) + (row[name] ?? 0);
  sums.costNanoUsd += BigInt(row.costNanoUsd);
}

/** All combinations of a row's values; only tags give several. */
function combinations(row: LedgerRow, groupBy: readonly Grouping[], options: GroupOptions): string[][] {
  let all: string[][] = [[]];
  for (const grouping of groupBy) {
    const values = groupValues(row, grouping, options);
    all = all.flatMap((before) => values.map((value) => [...before, value]));
  }
  return all;
}

/** Returns one group for each combination that occurs, sorted by their values. */
export function groupRows(
  rows: readonly LedgerRow[],
  groupBy: readonly Grouping[],
  options: GroupOptions = {},
): Group[] {
  const groups = new Map<string, Group>();
  for (const row of rows) {
    for (const values of combinations(row, groupBy, options)) {
      const key = JSON.stringify(values);
      let group = groups.get(key);
      if (group === undefined) {
        const by = Object.fromEntries(groupBy.map((grouping, index) => [grouping, values[index] ?? ""]));
        groups.set(key, (group = { by, sums: noSums() }));
      }
      addTo(group.sums, row);
    }
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
}

export function totalOf(rows: readonly LedgerRow[]): Sums {
  const sums = noSums();
  for (const row of rows) addTo(sums, row);
  return sums;
}

export const nanoPerUsd = 1_000_000_000n;

/** Formats nano-USD as an exact decimal number of USD, such as `12.000000001`, with at least two decimals. */
export function usd(nanoUsd: number | bigint): string {
  const nano = BigInt(nanoUsd);
  const fraction = String(nano % nanoPerUsd)
    .padStart(9, "0")
    .replace(/0{1,7}$/, "");
  return `${nano / nanoPerUsd}.${fraction.padEnd(2, "0")}`;
}

/** The currency that amounts are also shown in, at the installation's rate. */
export interface Currency {
  code: string;
  /** Millionths of a unit per USD. */
  perUsdMillionths: number;
}

/** Converts exactly, and rounds half up to the nano-unit. */
export const inCurrency = (nanoUsd: number | bigint, { perUsdMillionths }: Currency): string =>
  usd((BigInt(nanoUsd) * BigInt(perUsdMillionths) + 500_000n) / 1_000_000n);

type Figures = Sums | LedgerRow;

export const tokensOf = (sums: Figures): number => sums.promptTokens + sums.completionTokens;

/** The inverse of `usd`; null if the text is no such number. */
export function nanoUsdOf(text: string): number | null {
  const [, whole, fraction = ""] = /^(\d{1,9})(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  return whole === undefined ? null : Number(BigInt(whole) * nanoPerUsd + BigInt(fraction.padEnd(9, "0")));
}

/** Names of counts in reports and exports. */
export const reportNames = {
  requests: "requests",
  errors: "errors",
  promptTokens: "input_tokens",
  cachedTokens: "cached_tokens",
  cacheWriteTokens: "cache_write_tokens",
  completionTokens: "output_tokens",
  reasoningTokens: "reasoning_tokens",
  images: "images",
  characters: "characters",
  audioSeconds: "audio_seconds",
  searchUnits: "search_units",
  estimated: "estimated_requests",
  unpriced: "unpriced_requests",
} as const satisfies Partial<Record<LedgerMeasure, string>>;

/** The figures of a report, in one spelling for tables, CSV, JSON and the API. Money comes last. */
export function figuresOf(sums: Figures, currency: Currency | null): Record<string, number | string> {
  const { estimated, unpriced, images, characters, audioSeconds, searchUnits, ...before } = reportNames;
  const counts = (names: Partial<typeof reportNames>): Record<string, number> =>
    Object.fromEntries(Object.entries(names).map(([measure, name]) => [name, sums[measure as CountMeasure] ?? 0]));
  return {
    ...counts(before),
    total_tokens: tokensOf(sums),
    ...counts({ images, characters, audioSeconds, searchUnits }),
    ...counts({ estimated, unpriced }),
    ...(currency === null ? {} : { [`cost_${currency.code.toLowerCase()}`]: inCurrency(sums.costNanoUsd, currency) }),
    cost_usd: usd(sums.costNanoUsd),
  };
}

/** A row of the ledger with the names of reports, for exports. */
export const exportedRow = (row: LedgerRow, currency: Currency | null): Record<string, number | string> => ({
  hour: new Date(row.hourMs).toISOString(),
  ...Object.fromEntries(ledgerDimensions.map((name) => [name, row[name]])),
  ...figuresOf(row, currency),
});
