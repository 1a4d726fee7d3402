/**
 * Azure's cost details, as Cost Management exports them: actual or amortized, of Enterprise Agreements, Microsoft
 * Customer Agreements and subscriptions, which differ in the case and names of columns. Exports of pay-as-you-go
 * subscriptions have UsageDateTime and UsageQuantity.
 * https://learn.microsoft.com/azure/cost-management-billing/automate/understand-usage-details-fields
 */
import {
  type Amount,
  dayMs,
  type ExportFormat,
  type ExportRow,
  type InvoiceLine,
  type ReadContext,
  type TokenKind,
} from "./invoice.ts";

/** Words of a meter's name that say how tokens were used, not which model. */
const usageWords =
  /\b(inp|inpt|input|outp|outpt|opt|output|cached|cchd|cd|glbl|global|gl|regnl|regional|rg|reg|data|dz|dzone|datazone|zone|dzn|tokens?|tkn|txt|text|batch|btch|std|pp|priority|prty|1m|1k|az)\b/g;

function kindOf(meter: string): TokenKind | null {
  if (/\b(cached|cchd|cd)\b/.test(meter)) return "cached";
  if (/\b(outp|outpt|opt|output)\b/.test(meter)) return "output";
  return /\b(inp|inpt|input)\b/.test(meter) ? "uncached" : null;
}

/** The size of a unit: `1K`, `1M Tokens`, `1000`, `1/Month`. */
function perUnit(unit: string): number | null {
  const [, count, scale = ""] = /^(\d+)\s*([KM]?)(?:\s*tokens?)?$/i.exec(unit.trim()) ?? [];
  if (count === undefined) return null;
  return Number(count) * ({ K: 1_000, M: 1_000_000 }[scale.toUpperCase()] ?? 1);
}

/** `2027-02-01` or `02/01/2027`, month first. */
function dayOf(row: ExportRow, { dayStartMs }: ReadContext): Pick<InvoiceLine, "startMs" | "endMs"> {
  const text = row.needed("date");
  const [, month, date, year] = /^(\d{2})\/(\d{2})\/(\d{4})$/.exec(text) ?? [];
  const day = year === undefined ? text.slice(0, 10) : `${year}-${month}-${date}`;
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(day) && !Number.isNaN(Date.parse(day));
  if (!isDay) row.fail(`date is not a day such as 2027-02-01 or 02/01/2027: ${text}`);
  const startMs = dayStartMs(day);
  return { startMs, endMs: dayStartMs(new Date(Date.parse(day) + dayMs).toISOString().slice(0, 10)) };
}

function costOf(row: ExportRow, { toUsd }: ReadContext): Amount {
  if (row.text("costinusd") !== "") return row.amount("costinusd");
  const column = ["costinbillingcurrency", "cost", "pretaxcost"].find((name) => row.text(name) !== "");
  const currency = row.text("billingcurrency") || row.text("billingcurrencycode") || row.text("currency");
  if (column === undefined) return row.fail("there is no cost: costInBillingCurrency, cost and preTaxCost are empty");
  if (currency === "") row.fail("there is no currency");
  return toUsd(currency, row)(row.amount(column));
}

const isModelService = (row: ExportRow): boolean =>
  /openai|foundry|cognitive|ai services/i.test(
    ["metercategory", "metersubcategory", "consumedservice", "product", "productname"]
      .map((name) => row.text(name))
      .join(" "),
  );

const otherNames: Readonly<Record<string, string>> = {
  usagedatetime: "date",
  usagedate: "date",
  usagequantity: "quantity",
};

function columnOf(name: string): string {
  const lower = name.toLowerCase();
  return otherNames[lower] ?? lower;
}

export const azureCosts: ExportFormat = {
  name: "Azure's cost export",
  column: columnOf,
  marks: ["metername", "metercategory"],
  needs: ["date", "metername", "quantity", "unitofmeasure"],
  line(row, context) {
    if (!isModelService(row)) return context.leaveOut("of other services");
    const meter = row.needed("metername").toLowerCase().replaceAll("-", " ");
    const kind = kindOf(meter);
    const each = perUnit(row.text("unitofmeasure"));
    return {
      ...dayOf(row, context),
      model: meter.replace(usageWords, " ").replace(/\s+/g, " ").trim().replaceAll(" ", "-"),
      ...(kind === null || each === null ? {} : { tokens: { [kind]: row.quantity("quantity", each) } }),
      cost: costOf(row, context),
    };
  },
};
