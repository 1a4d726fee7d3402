/**
 * Anthropic's usage and cost reports: the Admin API at /v1/organizations/usage_report/messages and
 * /v1/organizations/cost_report, and the Console's exports.
 * https://platform.claude.com/docs/en/api/admin-api/usage-cost/get-messages-usage-report
 */
import { type Amount, dayMs, type ExportFormat, type ExportRow, type InvoiceLine } from "./invoice.ts";

const dayOf = (row: ExportRow): Pick<InvoiceLine, "startMs" | "endMs"> => {
  const startMs = row.momentMs("usage_date_utc");
  return { startMs, endMs: startMs + dayMs };
};

export const anthropicUsageCsv: ExportFormat = {
  name: "Anthropic's usage export",
  marks: ["usage_input_tokens_no_cache"],
  needs: [
    "usage_date_utc",
    "model_version",
    "usage_input_tokens_no_cache",
    "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h",
    "usage_input_tokens_cache_read",
    "usage_output_tokens",
  ],
  line: (row) => ({
    ...dayOf(row),
    model: row.needed("model_version"),
    tokens: {
      uncached: row.count("usage_input_tokens_no_cache"),
      cached: row.count("usage_input_tokens_cache_read"),
      cacheWrite: row.count("usage_input_tokens_cache_write_5m") + row.count("usage_input_tokens_cache_write_1h"),
      output: row.count("usage_output_tokens"),
    },
  }),
};

export const anthropicCostCsv: ExportFormat = {
  name: "Anthropic's cost export",
  marks: ["cost_usd", "usage_date_utc"],
  needs: ["usage_date_utc", "model", "cost_usd"],
  line: (row, { leaveOut }) =>
    row.text("model") === ""
      ? leaveOut("of no model, such as sessions and searches")
      : { ...dayOf(row), model: row.text("model"), cost: row.amount("cost_usd") },
};

const spanOfRow = (row: ExportRow): Pick<InvoiceLine, "startMs" | "endMs"> => ({
  startMs: row.momentMs("starting_at"),
  endMs: row.momentMs("ending_at"),
});

/** Nested members have their path as a name. */
export const anthropicUsageApi: ExportFormat = {
  name: "Anthropic's usage report",
  marks: ["uncached_input_tokens"],
  needs: ["starting_at", "ending_at", "uncached_input_tokens", "output_tokens"],
  line: (row) => ({
    ...spanOfRow(row),
    model: row.text("model") || row.fail("there is no model: ask for group_by[]=model"),
    tokens: {
      uncached: row.count("uncached_input_tokens"),
      cached: row.count("cache_read_input_tokens"),
      cacheWrite:
        row.count("cache_creation.ephemeral_5m_input_tokens") + row.count("cache_creation.ephemeral_1h_input_tokens"),
      output: row.count("output_tokens"),
    },
  }),
};

const fromCents = ({ nano, halfUnitNano }: Amount): Amount => ({
  nano: (nano + 50n) / 100n,
  halfUnitNano: halfUnitNano / 100n + 1n,
});

export const anthropicCostApi: ExportFormat = {
  name: "Anthropic's cost report",
  marks: ["amount", "currency", "starting_at"],
  needs: ["starting_at", "ending_at", "amount", "currency"],
  line(row, { leaveOut, toUsd }) {
    // Without group_by[]=description there is one sum for all models.
    if (row.text("description") === "") row.fail("there is no description: ask for group_by[]=description");
    if (row.text("model") === "") return leaveOut("of no model, such as sessions and searches");
    const convert = toUsd(row.needed("currency"), row);
    return { ...spanOfRow(row), model: row.text("model"), cost: convert(fromCents(row.amount("amount"))) };
  },
};
