/**
 * OpenAI's usage and costs: the API at /v1/organization/usage/completions (and embeddings) and /v1/organization/costs,
 * and the dashboard's exports, which have the same names as columns.
 * https://platform.openai.com/docs/api-reference/usage
 */
import type { ExportFormat, ExportRow, InvoiceLine, ReadContext } from "./invoice.ts";

const spanOfRow = (row: ExportRow): Pick<InvoiceLine, "startMs" | "endMs"> => ({
  startMs: row.secondsMs("start_time"),
  endMs: row.secondsMs("end_time"),
});

function usageLine(row: ExportRow): InvoiceLine | null {
  // An empty bucket.
  if (row.text("num_model_requests") === "" && row.text("input_tokens") === "") return null;
  const model = row.text("model") || row.fail("there is no model: group the export by model");
  // Both are included in input_tokens. Exports of models without a price for cache writes lack that column.
  const [input, cached] = [row.count("input_tokens"), row.count("input_cached_tokens")];
  const cacheWrite = row.count("input_cache_write_tokens");
  if (cached > input) row.fail("input_cached_tokens is more than input_tokens");
  if (cached + cacheWrite > input)
    row.fail("input_cached_tokens and input_cache_write_tokens are more than input_tokens");
  const tokens = { uncached: input - cached - cacheWrite, cached, cacheWrite, output: row.count("output_tokens") };
  return { ...spanOfRow(row), model, requests: row.count("num_model_requests"), tokens };
}

/** A line item such as `gpt-4o-2024-08-06, input`. */
const modelOfItem = (item: string): string => item.replace(/,[^,]*$/, "").trim();

function costLine(row: ExportRow, context: ReadContext): InvoiceLine | null {
  if (row.text("amount_value") === "") return null;
  const model = modelOfItem(row.text("line_item")) || row.fail("there is no line_item: group the export by line item");
  const convert = context.toUsd(row.needed("amount_currency"), row);
  return { ...spanOfRow(row), model, cost: convert(row.amount("amount_value")) };
}

export const openAiUsage: ExportFormat = {
  name: "OpenAI's usage export",
  marks: ["num_model_requests"],
  needs: ["start_time", "end_time", "model", "input_tokens", "num_model_requests"],
  line: usageLine,
};

export const openAiCosts: ExportFormat = {
  name: "OpenAI's costs export",
  marks: ["amount_value"],
  needs: ["start_time", "end_time", "amount_value", "amount_currency", "line_item"],
  line: costLine,
};
