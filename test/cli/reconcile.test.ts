/** `sluice reconcile`: the ledger next to providers' exports, which are written here as each provider documents them. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { compareInvoice } from "../../cli/reconcile/compare.ts";
import type { Compared } from "../../cli/reconcile/compared.ts";
import { exportedAmount, type Invoice } from "../../cli/reconcile/invoice.ts";
import { modelKey } from "../../cli/reconcile/names.ts";
import { asText } from "../../cli/reconcile/output.ts";
import { InvoiceReader, ratesOf } from "../../cli/reconcile/read.ts";
import type { LedgerRow } from "../../proxy/config/ledger.ts";
import { exportedRow } from "../../proxy/config/usage-report.ts";
import { ledgerRow } from "../harness/ledger-row.ts";
import fc from "../harness/property.ts";
import { sluice } from "../harness/sluice.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-reconcile-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const dayMs = 86_400_000;
const first = Date.parse("2027-02-01T00:00:00Z");
const seconds = (ms: number): number => ms / 1000;

const row = (more: Partial<LedgerRow> = {}): LedgerRow =>
  ledgerRow({
    ...{ hourMs: first + 10 * 3_600_000, namespace: "a", user: "ann", key: "a/ann" },
    ...{ route: "a/chat", model: "gpt-4o", provider: "a/up", requests: 5 },
    ...{ promptTokens: 1000, cachedTokens: 800, completionTokens: 500, costNanoUsd: 6_500_000 },
    ...more,
  });

let files = 0;
async function file(name: string, text: string | Buffer): Promise<string> {
  const path = join(folder, `${++files}-${name}`);
  await writeFile(path, text);
  return path;
}

async function read(paths: readonly string[], timeZone = "UTC", rates: readonly string[] = []): Promise<Invoice> {
  const reader = new InvoiceReader({ rates: ratesOf(rates), timeZone });
  for (const path of paths) await reader.read(path);
  return reader.done();
}

const kinds = (lines: readonly Compared[]): string[] =>
  lines.map(({ model, causes }) => `${model}: ${causes.map(({ kind }) => kind).join(", ") || "agrees"}`);

const noOptions = { models: new Map<string, string>(), toleranceShare: 0 };

async function compared(
  paths: readonly string[],
  rows: readonly LedgerRow[],
  options: Partial<Parameters<typeof compareInvoice>[2]> = {},
): Promise<string[]> {
  return kinds(compareInvoice((await read(paths)).lines, rows, { ...noOptions, ...options }));
}

const usageBucket = (startMs: number, more: object = {}) => ({
  object: "bucket",
  start_time: seconds(startMs),
  end_time: seconds(startMs + dayMs),
  results: [
    {
      object: "organization.usage.completions.result",
      input_tokens: 1000,
      output_tokens: 500,
      input_cached_tokens: 800,
      input_audio_tokens: 0,
      output_audio_tokens: 0,
      num_model_requests: 5,
      project_id: null,
      user_id: null,
      api_key_id: null,
      model: "gpt-4o-2024-08-06",
      batch: null,
      service_tier: null,
      ...more,
    },
  ],
});
const page = (...data: object[]) => JSON.stringify({ object: "page", data, has_more: false, next_page: null });
const costBucket = (
  startMs: number,
  value: number | string,
  line_item: string | null = "gpt-4o-2024-08-06, input",
) => ({
  object: "bucket",
  start_time: seconds(startMs),
  end_time: seconds(startMs + dayMs),
  results: [{ object: "organization.costs.result", amount: { value, currency: "usd" }, line_item, project_id: null }],
});

const openAiCostHead =
  "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,quantity_unit,line_item,user_id,api_key_id,project_id,organization_id,project_name,organization_name,user_email,api_source";
const openAiCost = (value: string, item: string, currency = "usd") =>
  `${seconds(first)},${seconds(first + dayMs)},2027-02-01T00:00:00+00:00,2027-02-02T00:00:00+00:00,${value},${currency},,,"${item}",,,proj_1,org-1,,,,`;

const anthropicUsageHead =
  "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,web_search_count,inference_geo,speed";
const anthropicCostHead =
  "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,cost_type,inference_geo,speed";

const azureHead =
  "InvoiceSectionName,Date,MeterCategory,MeterSubCategory,MeterName,Quantity,UnitOfMeasure,CostInBillingCurrency,BillingCurrencyCode,ConsumedService,ResourceId";
const azureRow = (date: string, meter: string, quantity: string, unit: string, cost: string, currency = "USD") =>
  `s,${date},Cognitive Services,Azure OpenAI,${meter},${quantity},${unit},${cost},${currency},Microsoft.CognitiveServices,/subscriptions/1`;

const cur2Head =
  "bill_payer_account_id,line_item_line_item_type,line_item_product_code,line_item_usage_type,line_item_usage_start_date,line_item_usage_end_date,line_item_usage_amount,line_item_unblended_cost,line_item_currency_code,pricing_unit,product";
const cur2 = (
  usageType: string,
  amount: string,
  cost: string,
  more: { code?: string; type?: string; unit?: string; product?: string } = {},
) =>
  [
    "111122223333",
    more.type ?? "Usage",
    more.code ?? "AmazonBedrock",
    usageType,
    "2027-02-01T10:00:00.000Z",
    "2027-02-01T11:00:00.000Z",
    amount,
    cost,
    "USD",
    more.unit ?? "1K tokens",
    `"${(more.product ?? '{"product_name":"Amazon Bedrock"}').replaceAll('"', '""')}"`,
  ].join(",");

const claude = (more: Partial<LedgerRow> = {}) =>
  row({ model: "claude-sonnet-4", cachedTokens: 300, cacheWriteTokens: 200, ...more });

describe("exports that agree with the ledger", () => {
  for (const [name, files, rows] of [
    [
      "OpenAI's usage and costs, of the API",
      [
        ["u.json", page(usageBucket(first))],
        ["c.json", page(costBucket(first, 0.0065))],
      ],
      [row()],
    ],
    [
      "OpenAI's costs as text, in several items",
      [
        [
          "c.json",
          JSON.stringify({
            object: "page",
            data: [
              {
                ...costBucket(first, "0.0040"),
                results: [
                  costBucket(first, "0.0040").results[0],
                  costBucket(first, "0.0025", "gpt-4o-2024-08-06, output").results[0],
                ],
              },
            ],
            has_more: false,
          }),
        ],
      ],
      [row()],
    ],
    [
      "OpenAI's pages in a list",
      [["u.json", `[${page(usageBucket(first)).replace('"has_more":false', '"has_more":true')},${page()}]`]],
      [row()],
    ],
    [
      "OpenAI's costs, of the dashboard",
      [["c.csv", `${openAiCostHead}\n${openAiCost("", "")}\n${openAiCost("0.0065", "gpt-4o-2024-08-06, input")}\n`]],
      [row()],
    ],
    [
      "OpenAI's usage, of the dashboard",
      [
        [
          "u.csv",
          `start_time,end_time,num_model_requests,model,input_tokens,input_cached_tokens,output_tokens\n${seconds(first)},${seconds(first + dayMs)},5,gpt-4o,1000,800,500\n`,
        ],
      ],
      [row()],
    ],
    [
      "Anthropic's usage and cost, of the Console",
      [
        [
          "u.csv",
          `${anthropicUsageHead}\n2027-02-01,claude-sonnet-4-20250514,k,Default,standard,≤ 200k,500,150,50,300,500,0,global,\n`,
        ],
        [
          "c.csv",
          `${anthropicCostHead}\n2027-02-01,Claude Sonnet 4,Default,k,message,≤ 200k,input_no_cache,0.0040,token,,\n2027-02-01,Claude Sonnet 4,Default,k,message,≤ 200k,output,0.0025,token,,\n2027-02-01,,Default,,,,,0.01,web_search,,\n`,
        ],
      ],
      [claude()],
    ],
    [
      "Anthropic's usage and cost, of the API",
      [
        [
          "u.json",
          JSON.stringify({
            data: [
              {
                starting_at: "2027-02-01T00:00:00Z",
                ending_at: "2027-02-02T00:00:00Z",
                results: [
                  {
                    uncached_input_tokens: 500,
                    cache_creation: { ephemeral_1h_input_tokens: 50, ephemeral_5m_input_tokens: 150 },
                    cache_read_input_tokens: 300,
                    output_tokens: 500,
                    server_tool_use: { web_search_requests: 0 },
                    api_key_id: null,
                    workspace_id: null,
                    model: "claude-sonnet-4-20250514",
                    service_tier: null,
                    context_window: null,
                  },
                ],
              },
            ],
            has_more: false,
            next_page: null,
          }),
        ],
        [
          "c.json",
          JSON.stringify({
            data: [
              {
                starting_at: "2027-02-01T00:00:00Z",
                ending_at: "2027-02-02T00:00:00Z",
                results: [
                  {
                    currency: "USD",
                    amount: "0.65",
                    workspace_id: null,
                    description: "Claude Sonnet 4 Usage - Input Tokens",
                    cost_type: "tokens",
                    context_window: "0-200k",
                    model: "claude-sonnet-4-20250514",
                    service_tier: "standard",
                    token_type: "uncached_input_tokens",
                  },
                ],
              },
            ],
            has_more: false,
            next_page: null,
          }),
        ],
      ],
      [claude()],
    ],
    [
      "Azure's cost details, with a byte order mark and months first",
      [
        [
          "azure.csv",
          `\uFEFF${azureHead}\r\n${azureRow("02/01/2027", "gpt-4o-0806-Inp-glbl Tokens", "0.2", "1K", "0.002")}\r\n${azureRow("02/01/2027", "gpt 4o 0806 cached Inp glbl Tokens", "0.8", "1K", "0.002")}\r\n${azureRow("02/01/2027", "gpt-4o-0806-Outp-glbl Tokens", "0.0005", "1M", "0.0025")}\r\n${azureRow("02/01/2027", "x", "1", "1", "9").replaceAll(/Cognitive Services|Azure OpenAI|Microsoft.CognitiveServices/g, "Storage")}\r\n`,
        ],
      ],
      [row()],
    ],
    [
      "OpenAI's usage with tokens written to the cache, which are among the input tokens",
      [["u.json", page(usageBucket(first, { input_cache_write_tokens: 150, input_cache_write_30m_tokens: 150 }))]],
      [row({ cacheWriteTokens: 150 })],
    ],
    [
      "Azure's costs of a pay-as-you-go subscription",
      [
        [
          "payg.csv",
          [
            "SubscriptionGuid,ResourceGroup,UsageDateTime,MeterCategory,MeterSubcategory,MeterName,UsageQuantity,ResourceRate,PreTaxCost,ConsumedService,Currency,UnitOfMeasure",
            ...(
              [
                ["gpt 4o 0806 Inp glbl Tokens", "0.2", "0.002"],
                ["gpt 4o 0806 cached Inp glbl Tokens", "0.8", "0.002"],
                ["gpt-4o-0806-Outp-glbl Tokens", "0.5", "0.0025"],
              ] as const
            ).map(
              ([meter, quantity, cost]) =>
                `s,g,2027-02-01T00:00:00,Cognitive Services,Azure OpenAI,${meter},${quantity},0.01,${cost},Microsoft.CognitiveServices,USD,1K`,
            ),
          ].join("\n"),
        ],
      ],
      [row()],
    ],
    [
      "AWS's report 2.0 with the product's attributes as columns",
      [
        [
          "cur.csv",
          [
            `${cur2Head.replace(/product$/, "product_product_name")}`,
            cur2("USE1-MP:USE1_InputTokenCount-Units", "0.0005", "0.0035", {
              ...{ code: "abc123", unit: "Units", product: "Claude Sonnet 4 (Amazon Bedrock Edition)" },
            }),
            cur2("USE1-MP:USE1_OutputTokenCount-Units", "0.0005", "0.003", {
              ...{ code: "abc123", unit: "Units", product: "Claude Sonnet 4 (Amazon Bedrock Edition)" },
            }),
          ].join("\n"),
        ],
      ],
      [claude({ promptTokens: 500, cachedTokens: 0, cacheWriteTokens: 0 })],
    ],
    [
      "AWS's report 2.0, gzipped",
      [
        [
          "cur.csv.gz",
          gzipSync(
            [
              cur2Head,
              cur2("USE1-Claude4Sonnet-input-tokens", "0.5", "0.0015"),
              cur2("USE1-Claude4Sonnet-cache-read-input-token-count", "0.3", "0.001"),
              cur2("USE1-Claude4Sonnet-cache-write-input-token-count", "0.2", "0.001", {
                code: "AmazonBedrockService",
              }),
              cur2("USE1-MP:USE1_OutputTokenCount-Units", "0.0005", "0.003", {
                code: "abc123",
                unit: "Units",
                product: '{"product_name":"Claude Sonnet 4 (Amazon Bedrock Edition)","x":"y"}',
              }),
              cur2("USE1-Claude4Sonnet-input-tokens", "0", "9", { type: "Tax" }),
              cur2("BoxUsage:t3.micro", "1", "9", { code: "AmazonEC2", product: '{"product_name":"Elastic Compute"}' }),
            ].join("\n"),
          ),
        ],
      ],
      [claude()],
    ],
    [
      "AWS's report of before",
      [
        [
          "cur.csv",
          `lineItem/LineItemType,lineItem/ProductCode,lineItem/UsageType,lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/UsageAmount,lineItem/UnblendedCost,lineItem/CurrencyCode\nUsage,AmazonBedrock,EUC1-Claude4Sonnet-input-tokens,2027-02-01T10:00:00Z,2027-02-01T11:00:00Z,1.0,0.0065,USD\nUsage,AmazonBedrock,EUC1-Claude4Sonnet-output-tokens,2027-02-01T10:00:00Z,2027-02-01T11:00:00Z,0.5,0,USD\n`,
        ],
      ],
      [claude({ cachedTokens: 0, cacheWriteTokens: 0 })],
    ],
  ] as const)
    it(name, async () => {
      const paths = await Promise.all(files.map(([path, text]) => file(path, text)));
      const lines = await compared(paths, rows);
      assert.deepEqual(lines, [`${rows[0].model}: agrees`]);
    });
});

describe("causes of differences", () => {
  const usage = (more: object = {}) => page(usageBucket(first, more));
  for (const [name, json, rows, expected] of [
    [
      "calls outside the gateway",
      [usage({ num_model_requests: 7, input_tokens: 1500 })],
      [row()],
      ["gpt-4o: more on the invoice"],
    ],
    [
      "use that isn't billed",
      [usage({ output_tokens: 400 })],
      [row({ estimated: 1 })],
      ["gpt-4o: less on the invoice, estimated"],
    ],
    [
      "a model that the ledger lacks",
      [usage({ model: "o3" })],
      [row()],
      ["gpt-4o: not on the invoice", "o3: not in the ledger"],
    ],
    ["cached tokens", [usage({ input_cached_tokens: 200 })], [row()], ["gpt-4o: cached tokens"]],
    ["another price", [usage(), page(costBucket(first, 0.0052))], [row()], ["gpt-4o: price"]],
    [
      "no price",
      [usage(), page(costBucket(first, 0.0052))],
      [row({ costNanoUsd: 0, unpriced: 5 })],
      ["gpt-4o: unpriced"],
    ],
    ["costs alone", [page(costBucket(first, 0.0052))], [row()], ["gpt-4o: amount only"]],
    ["rounding", [usage(), page(costBucket(first, "0.01"))], [row()], ["gpt-4o: rounding"]],
    ["calls of another day", [usage()], [row({ hourMs: first - 3_600_000 })], ["gpt-4o: not in the ledger"]],
    [
      "refused calls",
      [usage()],
      [row(), row({ model: "", provider: "", promptTokens: 0, completionTokens: 0, costNanoUsd: 0 })],
      ["gpt-4o: agrees"],
    ],
  ] as const)
    it(`names: ${name}`, async () => {
      const paths = await Promise.all(json.map((text) => file("export.json", text)));
      assert.deepEqual(await compared(paths, rows), expected);
    });

  it("counts differences within the tolerance as none", async () => {
    const path = await file("u.json", usage({ input_tokens: 1010 }));
    assert.deepEqual(await compared([path], [row()], { toleranceShare: 0.01 }), ["gpt-4o: agrees"]);
    assert.deepEqual(await compared([path], [row()], { toleranceShare: 0.001 }), ["gpt-4o: more on the invoice"]);
  });

  it("takes the user's word for a model's name", async () => {
    const path = await file("u.json", usage({ model: "ft:gpt-4o:acme" }));
    const models = new Map([["ft:gpt-4o:acme", "gpt-4o"]]);
    assert.deepEqual(await compared([path], [row()], { models }), ["gpt-4o: agrees"]);
  });

  it("tells days of another zone", async () => {
    const hours = Array.from({ length: 72 }, (_, hour) =>
      row({
        hourMs: first + (hour - 12) * 3_600_000,
        promptTokens: 10 + ((hour * hour * 7) % 101),
        cachedTokens: 0,
        completionTokens: 0,
      }),
    );
    const sumFrom = (startMs: number): number =>
      hours
        .filter(({ hourMs }) => hourMs >= startMs && hourMs < startMs + dayMs)
        .reduce((sum, one) => sum + one.promptTokens, 0);
    // The days of California, given without a zone.
    const day = (index: number) => {
      const startMs = first + index * dayMs;
      return azureRow(
        new Date(startMs).toISOString().slice(0, 10),
        "gpt 4o Inp glbl Tokens",
        String(sumFrom(startMs + 8 * 3_600_000) / 1000),
        "1K",
        "0.001",
      );
    };
    const path = await file("azure.csv", [azureHead, day(0), day(1)].join("\n"));
    const utc = compareInvoice((await read([path])).lines, hours, noOptions);
    assert.deepEqual(
      utc.map(({ causes }) => causes[0]),
      Array(2).fill({ kind: "time-zone", shiftHours: 8 }),
    );
    assert.match(asText(utc), /agree if days begin 8 hours later/);
    const there = compareInvoice((await read([path], "America/Los_Angeles")).lines, hours, noOptions);
    assert.ok(there.every(({ causes }) => causes.every(({ kind }) => kind === "price")));
  });

  it("adds the buckets of an hour up to days", async () => {
    const hour = (index: number) => ({
      ...usageBucket(first + index * 3_600_000),
      end_time: seconds(first + (index + 1) * 3_600_000),
    });
    const path = await file("u.json", page(hour(1), hour(2)));
    const twice = row({ requests: 10, promptTokens: 2000, cachedTokens: 1600, completionTokens: 1000 });
    assert.deepEqual(await compared([path], [twice]), ["gpt-4o: agrees"]);
  });

  it("agrees with itself, whatever was used, to the nano-USD", () => {
    const used = fc.array(
      fc.record({
        hour: fc.nat(24 * 60),
        model: fc.constantFrom("gpt-4o", "gpt-4o-mini", "o3"),
        promptTokens: fc.nat(1e9),
        costNanoUsd: fc.maxSafeNat(),
      }),
      { minLength: 1 },
    );
    fc.assert(
      fc.property(used, (uses) => {
        const rows = uses.map(({ hour, ...more }) =>
          row({ hourMs: first + hour * 3_600_000, cachedTokens: 0, ...more }),
        );
        const lines = rows.map((one) => ({
          startMs: one.hourMs - (one.hourMs % dayMs),
          endMs: one.hourMs - (one.hourMs % dayMs) + dayMs,
          model: one.model,
          requests: one.requests,
          tokens: { uncached: one.promptTokens, output: one.completionTokens },
          cost: { nano: BigInt(one.costNanoUsd), halfUnitNano: 0n },
        }));
        assert.ok(compareInvoice(lines, rows, noOptions).every(({ causes }) => causes.length === 0));
      }),
    );
  });
});

describe("names of models", () => {
  for (const [theirs, ours] of [
    ["gpt-4o-2024-08-06", "gpt-4o"],
    ["gpt-4o-0806", "gpt-4o"],
    ["gpt-4o-mini-0718", "gpt-4o-mini"],
    ["Claude4Sonnet", "claude-sonnet-4"],
    ["Claude Sonnet 4.5", "claude-sonnet-4-5"],
    ["Claude Opus 4.1", "us.anthropic.claude-opus-4-1-20250805-v1:0"],
    ["NovaLite", "amazon.nova-lite-v1:0"],
    ["gpt-4.1-mini-2025-04-14", "openai/gpt-4.1-mini"],
  ] as const)
    it(`${theirs} is ${ours}`, () => assert.equal(modelKey(theirs), modelKey(ours)));
  it("stay apart", () => {
    const names = [
      "gpt-4o",
      "gpt-4o-mini",
      "gpt-4.1",
      "gpt-4",
      "o3",
      "o4-mini",
      "claude-opus-4",
      "claude-sonnet-4",
      "claude-opus-4-1",
    ];
    assert.equal(new Set(names.map(modelKey)).size, names.length);
  });
});

describe("amounts", () => {
  for (const [text, nano, half] of [
    ["0.06", 60_000_000n, 5_000_000n],
    ["12", 12_000_000_000n, 500_000_000n],
    ["1e-7", 100n, 50n],
    ["-0.5", -500_000_000n, 50_000_000n],
    ["0.0000000005", 1n, 1n],
    ["123456789012.123456789", 123_456_789_012_123_456_789n, 1n],
  ] as const)
    it(text, () => assert.deepEqual(exportedAmount(text), { nano, halfUnitNano: half }));
  for (const text of ["", "1,5", "USD 1", "NaN", "0x1", "1.2.3"])
    it(`${text} is none`, () => assert.equal(exportedAmount(text), null));
});

describe("exports that can't be read", () => {
  for (const [name, path, text, why] of [
    ["another CSV", "x.csv", "a,b\n1,2\n", /not an export that can be read .*; it has a, b/],
    ["an empty file", "x.csv", "", /is empty/],
    ["a Parquet file", "x.parquet", "PAR1\u0015\u0004", /is a Parquet file: export CSV/],
    ["a ZIP archive", "x.csv.zip", "PK\u0003\u0004\n", /is a ZIP archive: unpack it/],
    [
      "an export in the FOCUS format",
      "x.csv",
      "AvailabilityZone,BilledCost,ChargePeriodStart,ServiceName\n",
      /is in the FOCUS format, .*: export the provider's own format/,
    ],
    [
      "more tokens of the cache than tokens",
      "x.json",
      page(usageBucket(first, { input_cache_write_tokens: 201 })),
      /input_cached_tokens and input_cache_write_tokens are more than input_tokens/,
    ],
    [
      "another version of OpenAI's costs",
      "x.csv",
      "start_time,amount_value,line_item\n",
      /looks like OpenAI's costs export, but has no end_time, amount_currency/,
    ],
    ["a row with too few columns", "x.csv", `${openAiCostHead}\n1,2\n`, /row 2 has 2 columns, not 17/],
    [
      "an amount that is none",
      "x.csv",
      `${openAiCostHead}\n${openAiCost("1.2.3", "gpt-4o, input")}\n`,
      /row 2: amount_value is not a number: 1\.2\.3/,
    ],
    [
      "another currency",
      "x.csv",
      `${openAiCostHead}\n${openAiCost("1", "gpt-4o, input", "eur")}\n`,
      /amounts are in EUR: give the rate .*--rate EUR=/,
    ],
    [
      "costs that are not by item",
      "x.json",
      page(costBucket(first, 1, null)),
      /no line_item: group the export by line item/,
    ],
    [
      "usage that is not by model",
      "x.json",
      page(usageBucket(first, { model: null })),
      /no model: group the export by model/,
    ],
    [
      "more cached tokens than tokens",
      "x.json",
      page(usageBucket(first, { input_cached_tokens: 2000 })),
      /more than input_tokens/,
    ],
    [
      "a first page",
      "x.json",
      page(usageBucket(first)).replace('"has_more":false', '"has_more":true'),
      /more pages follow/,
    ],
    ["an error of the API", "x.json", '{"error":{"message":"no"}}', /an error of the API/],
    ["an object of another API", "x.json", '{"object":"list"}', /no list data/],
    ["a report of another kind", "x.json", '{"data":[{"results":[{"num_sessions":1}]}]}', /not an export/],
    ["broken JSON", "x.json", '{"data":[', /is not JSON/],
    [
      "a bucket that ends before it begins",
      "x.json",
      page({ ...usageBucket(first), end_time: 1_000_000_000 }),
      /ends before it begins/,
    ],
    [
      "a day that is none",
      "x.csv",
      `${azureHead}\n${azureRow("13/25/2027", "gpt 4o Inp glbl Tokens", "1", "1K", "1")}\n`,
      /date is not a day/,
    ],
    [
      "Azure's costs without a currency",
      "x.csv",
      `${azureHead}\n${azureRow("02/01/2027", "gpt 4o Inp glbl Tokens", "1", "1K", "1", "")}\n`,
      /there is no currency/,
    ],
    [
      "Anthropic's costs as one sum",
      "x.json",
      JSON.stringify({
        data: [
          {
            starting_at: "2027-02-01T00:00:00Z",
            ending_at: "2027-02-02T00:00:00Z",
            results: [{ currency: "USD", amount: "1", description: null }],
          },
        ],
      }),
      /ask for group_by\[\]=description/,
    ],
  ] as const)
    it(`are refused: ${name}`, async () => {
      await assert.rejects(read([await file(path, text)]), why);
    });

  it("are converted at a given rate", async () => {
    const path = await file("x.csv", `${openAiCostHead}\n${openAiCost("2", "gpt-4o, input", "eur")}\n`);
    const { lines } = await read([path], "UTC", ["EUR=1.25"]);
    assert.equal(lines[0]?.cost?.nano, 2_500_000_000n);
  });

  it("say what they leave out", async () => {
    const path = await file(
      "cur.csv",
      [cur2Head, cur2("USE1-Claude4Sonnet-input-tokens", "1", "1"), cur2("x", "1", "1", { type: "Tax" })].join("\n"),
    );
    assert.deepEqual((await read([path])).notes, ["left out: 1 row of the type Tax"]);
  });
});

describe("sluice reconcile", () => {
  const ledger = (...rows: LedgerRow[]) =>
    file("ledger.jsonl", rows.map((one) => `${JSON.stringify(exportedRow(one, null))}\n`).join(""));

  it("exits with 0 where all agrees", async () => {
    const invoice = await file("u.json", page(usageBucket(first)));
    const { code, stdout, stderr } = await sluice("reconcile", invoice, "--ledger", await ledger(row()));
    assert.deepEqual([code, stderr], [0, ""]);
    assert.equal(stdout, "1 of 1 days and models agree.\nThe export has no costs: only tokens were compared.\n");
  });

  it("exits with 1 and says why where something differs", async () => {
    const invoices = [
      await file("u.json", page(usageBucket(first))),
      await file("c.json", page(costBucket(first, 0.0052))),
    ];
    const from = ["--ledger", await ledger(row(), row({ provider: "b/other", model: "o3" }))];
    const several = await sluice("reconcile", ...invoices, ...from);
    assert.equal(several.code, 2);
    assert.match(several.stderr, /several providers: .*--provider \(a\/up, b\/other\)/);
    const text = await sluice("reconcile", ...invoices, ...from, "--provider", "a/up");
    assert.equal(text.code, 1);
    assert.match(text.stdout, /^2027-02-01 +gpt-4o +0\.0052 +0\.0065 +-0\.0013 +price$/m);
    assert.match(text.stdout, /costs 0\.8 times as much on the invoice/);
    const csv = await sluice("reconcile", ...invoices, ...from, "--provider", "a/up", "-o", "csv");
    assert.match(
      csv.stdout,
      /^2027-02-01T00:00:00.000Z,2027-02-02T00:00:00.000Z,gpt-4o,5,5,1500,1500,0\.0052,0\.0065,'-0\.0013,price$/m,
    );
    const json = await sluice("reconcile", ...invoices, ...from, "--provider", "a/up", "-o", "json");
    const [line] = JSON.parse(json.stdout) as { causes: { cause: string }[] }[];
    assert.deepEqual(
      line?.causes.map(({ cause }) => cause),
      ["price"],
    );
  });

  for (const [name, args, why] of [
    ["no file", [], /give a file/],
    ["another output", ["x.csv", "-o", "table"], /--output must be text, csv or json, not table/],
    ["a rate without a currency", ["x.csv", "--rate", "1.08"], /--rate must be a currency/],
    ["a tolerance that is none", ["x.csv", "--tolerance", "all"], /--tolerance must be a percentage/],
    ["a model without a name", ["x.csv", "--model", "gpt"], /--model must be the invoice's name and the ledger's/],
    ["a zone that is none", ["x.csv", "--time-zone", "Moon"], /--time-zone must be/],
  ] as const)
    it(`refuses ${name}`, async () => {
      const { code, stderr } = await sluice("reconcile", ...args);
      assert.equal(code, 2);
      assert.match(stderr, why);
    });
});
