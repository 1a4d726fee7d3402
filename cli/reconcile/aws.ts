/**
 * AWS Cost and Usage Reports, 2.0 (`line_item_usage_type`) and before (`lineItem/UsageType`), for Bedrock.
 * https://docs.aws.amazon.com/bedrock/latest/userguide/cost-mgmt-understanding-cur-data.html
 */
import type { ExportFormat, ExportRow, InvoiceLine, ReadContext, TokenKind } from "./invoice.ts";

const hourMs = 3_600_000;

const usageTypes: readonly (readonly [RegExp, TokenKind])[] = [
  [/cache.?read/i, "cached"],
  [/cache.?write/i, "cacheWrite"],
  [/output/i, "output"],
  [/input/i, "uncached"],
];

/** Marketplace models have their name in the product's name, others in the usage type. */
function modelOf(usageType: string, product: string): string {
  const sold = /^(.*?)\s*\(Amazon Bedrock Edition\)$/i.exec(product)?.[1];
  if (sold !== undefined) return sold;
  return usageType
    .replace(/^[A-Z]{2,4}\d?-/, "")
    .replace(/[-_]?(mantle|cache|input|output|batch|text|custom)[-_].*$/i, "");
}

/** Usage of marketplace models is counted in millions. */
function tokensPerUnit(unit: string, usageType: string): number {
  const [, count, scale = ""] = /^(\d+)\s*([KM]?)\s*tokens?$/i.exec(unit) ?? [];
  if (count !== undefined) return Number(count) * ({ K: 1_000, M: 1_000_000 }[scale.toUpperCase()] ?? 1);
  return /-MP:|-Units$/.test(usageType) ? 1_000_000 : 1_000;
}

/** The names of one version's columns. */
interface Columns {
  start: string;
  end: string;
  code: string;
  kind: string;
  usageType: string;
  quantity: string;
  cost: string;
  currency: string;
  unit: string;
  product: string;
  /** In exports whose query turns product attributes into columns. */
  productName: string;
}

const readWith =
  (columns: Columns): ExportFormat["line"] =>
  (row: ExportRow, { leaveOut, toUsd }: ReadContext): InvoiceLine | null => {
    const product = (row.text(columns.product) || row.text(columns.productName)).replace(
      /^.*"product_name"\s*:\s*"([^"]*)".*$/s,
      "$1",
    );
    if (!/bedrock/i.test(row.text(columns.code) + product)) return leaveOut("of other services");
    const lineKind = row.needed(columns.kind);
    if (!/Usage$/.test(lineKind)) return leaveOut(`of the type ${lineKind}`);
    const usageType = row.needed(columns.usageType);
    const kind = usageTypes.find(([form]) => form.test(usageType))?.[1];
    const startMs = row.momentMs(columns.start);
    return {
      startMs,
      endMs: row.text(columns.end) === "" ? startMs + hourMs : row.momentMs(columns.end),
      model: modelOf(usageType, product) || usageType,
      ...(kind === undefined
        ? {}
        : { tokens: { [kind]: row.quantity(columns.quantity, tokensPerUnit(row.text(columns.unit), usageType)) } }),
      cost: toUsd(row.needed(columns.currency), row)(row.amount(columns.cost)),
    };
  };

const columns2: Columns = {
  start: "line_item_usage_start_date",
  end: "line_item_usage_end_date",
  code: "line_item_product_code",
  kind: "line_item_line_item_type",
  usageType: "line_item_usage_type",
  quantity: "line_item_usage_amount",
  cost: "line_item_unblended_cost",
  currency: "line_item_currency_code",
  unit: "pricing_unit",
  product: "product",
  productName: "product_product_name",
};

const columns1: Columns = {
  start: "lineItem/UsageStartDate",
  end: "lineItem/UsageEndDate",
  code: "lineItem/ProductCode",
  kind: "lineItem/LineItemType",
  usageType: "lineItem/UsageType",
  quantity: "lineItem/UsageAmount",
  cost: "lineItem/UnblendedCost",
  currency: "lineItem/CurrencyCode",
  unit: "pricing/unit",
  product: "product/ProductName",
  productName: "product/productName",
};

const formatWith = (name: string, columns: Columns): ExportFormat => {
  const { start, code, kind, usageType, quantity, cost, currency } = columns;
  return {
    name,
    marks: [usageType],
    needs: [start, code, kind, usageType, quantity, cost, currency],
    line: readWith(columns),
  };
};

export const awsReports: readonly ExportFormat[] = [
  formatWith("AWS's Cost and Usage Report 2.0", columns2),
  formatWith("AWS's Cost and Usage Report", columns1),
];
