/**
 * The ledger as a Cost and Usage dataset of FOCUS, the FinOps Open Cost and Usage Specification: the mandatory columns
 * of 1.2 and 1.3, other columns that the ledger can fill, and custom columns with the prefix x_. Pure.
 * https://focus.finops.org/focus-specification/
 */
import { csvLine } from "../operator/csv.ts";
import { type LedgerDimension, type LedgerRow, ledgerDimensions } from "../proxy/config/ledger.ts";
import { periods } from "../proxy/config/periods.ts";
import { addTo, type KeyFacts, noSums, type Sums, tokensOf, usd } from "../proxy/config/usage-report.ts";

export interface FocusOptions {
  /** Dimensions that get separate lines. Model and provider always do, as they form the SKU. */
  groupBy: readonly LedgerDimension[];
  chargePeriod: "hour" | "day";
  /** Time zone of days and of billing periods, which are months. */
  timeZone: string;
  keys: Readonly<Record<string, KeyFacts>>;
  billingAccount: string;
  /** The issuer of the invoices; null if each provider invoices, so that its export has the billed cost. */
  issuer: string | null;
  /** Names of companies, by LLMProvider. */
  providerNames: ReadonlyMap<string, string>;
}

export type Cell = string | null;
type Dimensions = Record<LedgerDimension, string>;

interface Charge {
  startMs: number;
  endMs: number;
  month: { startMs: number; endMs: number };
  by: Dimensions;
  tags: string;
  sums: Sums;
}

const moment = (ms: number): string => new Date(ms).toISOString().replace(".000Z", "Z");
const orNull = (text: string): Cell => (text === "" ? null : text);

/** Label keys have no colon, so the prefixes can't be part of one. */
function tagsOf(by: Dimensions, facts: KeyFacts | undefined): string {
  const named = (["team", "user", "role"] as const).filter((name) => by[name] !== "");
  const tags: Record<string, string | true> = {
    ...facts?.labels,
    ...Object.fromEntries((facts?.tags ?? []).map((tag) => [`tag:${tag}`, true])),
    ...Object.fromEntries(named.map((name) => [`sluice:${name}`, by[name]])),
  };
  const sorted = Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.length === 0 ? "" : JSON.stringify(Object.fromEntries(sorted));
}

/** Millionths as a decimal number. */
const millions = (count: number): string => {
  const digits = String(BigInt(count)).padStart(7, "0");
  return `${digits.slice(0, -6)}.${digits.slice(-6)}`.replace(/\.?0+$/, "");
};

/** A charge that has no tokens, such as of an image, is counted in requests. */
function quantities(sums: Sums): { unit: string; consumed: string; priced: string; pricingUnit: string } {
  const tokens = tokensOf(sums);
  if (tokens > 0)
    return { unit: "Tokens", consumed: String(tokens), priced: millions(tokens), pricingUnit: "1000000 Tokens" };
  const requests = String(sums.requests);
  return { unit: "Requests", consumed: requests, priced: requests, pricingUnit: "Requests" };
}

type Column = (charge: Charge, options: FocusOptions) => Cell;
const cost: Column = ({ sums }) => usd(sums.costNanoUsd);
/** An answer from the cache has no provider. */
const providerName: Column = ({ by }, { providerNames }) =>
  providerNames.get(by.provider) ?? (by.provider === "" ? "Sluice" : by.provider);
const sku: Column = ({ by }) => [by.provider, by.model].filter((part) => part !== "").join("/") || "none";
const dimension =
  (name: LedgerDimension): Column =>
  ({ by }) =>
    orNull(by[name]);
const figure =
  (name: Exclude<keyof Sums, "costNanoUsd">): Column =>
  ({ sums }) =>
    String(sums[name]);

/** The specification's columns in alphabetical order, then custom ones. */
export const focusColumns: Readonly<Record<string, Column>> = {
  BilledCost: (charge, options) => (options.issuer === null ? "0.00" : cost(charge, options)),
  BillingAccountId: (_, { billingAccount }) => billingAccount,
  BillingAccountName: (_, { billingAccount }) => billingAccount,
  BillingCurrency: () => "USD",
  BillingPeriodEnd: ({ month }) => moment(month.endMs),
  BillingPeriodStart: ({ month }) => moment(month.startMs),
  ChargeCategory: () => "Usage",
  ChargeClass: () => null,
  ChargeDescription: ({ by, sums }) => `${quantities(sums).unit} of ${by.model || "no model"}`,
  ChargeFrequency: () => "Usage-Based",
  ChargePeriodEnd: ({ endMs }) => moment(endMs),
  ChargePeriodStart: ({ startMs }) => moment(startMs),
  ConsumedQuantity: ({ sums }) => quantities(sums).consumed,
  ConsumedUnit: ({ sums }) => quantities(sums).unit,
  ContractedCost: cost,
  EffectiveCost: cost,
  HostProviderName: providerName,
  InvoiceIssuerName: (charge, options) => options.issuer ?? providerName(charge, options),
  ListCost: cost,
  PricingCategory: () => "Standard",
  PricingQuantity: ({ sums }) => quantities(sums).priced,
  PricingUnit: ({ sums }) => quantities(sums).pricingUnit,
  ProviderName: providerName,
  PublisherName: providerName,
  ServiceCategory: () => "AI and Machine Learning",
  ServiceName: (charge, options) => `${providerName(charge, options)} models`,
  ServiceProviderName: providerName,
  ServiceSubcategory: () => "Generative AI",
  SkuId: sku,
  SkuMeter: ({ sums }) => quantities(sums).unit,
  SkuPriceId: sku,
  SubAccountId: dimension("namespace"),
  SubAccountName: dimension("namespace"),
  SubAccountType: ({ by }) => (by.namespace === "" ? null : "Namespace"),
  Tags: ({ tags }) => orNull(tags),
  x_CacheWriteTokens: figure("cacheWriteTokens"),
  x_CachedTokens: figure("cachedTokens"),
  x_Errors: figure("errors"),
  x_EstimatedRequests: figure("estimated"),
  x_InputTokens: figure("promptTokens"),
  x_Key: dimension("key"),
  x_Model: dimension("model"),
  x_OutputTokens: figure("completionTokens"),
  x_Provider: dimension("provider"),
  x_ReasoningTokens: figure("reasoningTokens"),
  x_Requests: figure("requests"),
  x_Role: dimension("role"),
  x_Route: dimension("route"),
  x_Team: dimension("team"),
  x_UnpricedRequests: figure("unpriced"),
  x_User: dimension("user"),
};

/** A column's type, for typed formats. A decimal has at most nine decimal places. */
export type FocusType = "decimal" | "count" | "moment" | "text";

const decimalColumns: ReadonlySet<string> = new Set([
  ...["BilledCost", "ConsumedQuantity", "ContractedCost", "EffectiveCost", "ListCost", "PricingQuantity"],
]);

export function focusTypeOf(column: string): FocusType {
  if (decimalColumns.has(column)) return "decimal";
  if (/Period(Start|End)$/.test(column)) return "moment";
  return /^x_\w*(Tokens|Requests|Errors)$/.test(column) ? "count" : "text";
}

/** Refused calls use nothing, so they are no charge. */
const isCharge = (row: LedgerRow): boolean =>
  row.costNanoUsd > 0 || row.promptTokens > 0 || row.completionTokens > 0 || row.unpriced > 0;

/** One line for each charge period, SKU, and combination of dimensions and tags. */
export function focusCharges(rows: readonly LedgerRow[], options: FocusOptions): Charge[] {
  const periodOf = periods();
  const kept = new Set<LedgerDimension>([...options.groupBy, "model", "provider"]);
  const charges = new Map<string, Charge>();
  for (const row of rows.filter(isCharge)) {
    const by = Object.fromEntries(
      ledgerDimensions.map((name) => [name, kept.has(name) ? row[name] : ""]),
    ) as Dimensions;
    const tags = tagsOf(by, options.keys[row.key]);
    const kind = options.chargePeriod === "hour" ? "Hourly" : "Daily";
    const { startMs, endMs } =
      kind === "Hourly"
        ? { startMs: row.hourMs, endMs: row.hourMs + 3_600_000 }
        : periodOf(kind, options.timeZone, row.hourMs);
    const id = JSON.stringify([startMs, ...Object.values(by), tags]);
    let charge = charges.get(id);
    if (charge === undefined) {
      const month = periodOf("Monthly", options.timeZone, row.hourMs);
      charge = {
        startMs,
        endMs: endMs ?? startMs,
        by,
        tags,
        sums: noSums(),
        month: { ...month, endMs: month.endMs ?? 0 },
      };
      charges.set(id, charge);
    }
    addTo(charge.sums, row);
  }
  return [...charges].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, charge]) => charge);
}

/** CSV with a header line. */
export function focusCsv(rows: readonly LedgerRow[], options: FocusOptions): string {
  const lines = focusCharges(rows, options).map((charge) =>
    csvLine(Object.values(focusColumns).map((column) => column(charge, options) ?? "")),
  );
  return [csvLine(Object.keys(focusColumns)), ...lines].join("\r\n");
}
