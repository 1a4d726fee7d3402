/** `sluice cost-report --format focus`, held to the rules of FOCUS 1.2 and 1.3 for the dataset Cost and Usage. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parquetMetadata, parquetReadObjects, parquetSchema } from "hyparquet";
import { type FocusOptions, focusCsv, focusTypeOf } from "../../cli/focus.ts";
import { focusParquet } from "../../cli/focus-parquet.ts";
import { CsvReader, csvLine } from "../../operator/csv.ts";
import type { LedgerRow } from "../../proxy/config/ledger.ts";
import { exportedRow } from "../../proxy/config/usage-report.ts";
import fc, { runs } from "../harness/property.ts";
import { sluice } from "../harness/sluice.ts";

const row = (more: Partial<LedgerRow> = {}): LedgerRow => ({
  hourMs: Date.parse("2027-02-01T10:00:00Z"),
  namespace: "a",
  user: "ann",
  team: "red",
  role: "developer",
  key: "a/ann",
  route: "a/chat",
  model: "gpt-4o",
  provider: "a/openai",
  requests: 2,
  errors: 0,
  promptTokens: 1_200_000,
  cachedTokens: 100,
  cacheWriteTokens: 10,
  completionTokens: 34_567,
  reasoningTokens: 5,
  costNanoUsd: 3_345_670_001,
  estimated: 1,
  unpriced: 0,
  ...more,
});

const options: FocusOptions = {
  groupBy: ["namespace", "team", "key"],
  chargePeriod: "day",
  timeZone: "UTC",
  keys: { "a/ann": { tags: ["night"], labels: { "cost-center": "4711" } } },
  billingAccount: "acme",
  issuer: "Platform",
  providerNames: new Map([["a/openai", "OpenAI"]]),
};

type Line = Record<string, string>;

function linesOf(csv: string): Line[] {
  const reader = new CsvReader();
  const records = reader.read(csv.endsWith("\n") ? csv : `${csv}\r\n`);
  const [head = [], ...rest] = records;
  for (const cells of rest) assert.equal(cells.length, head.length);
  return rest.map((cells) => Object.fromEntries(head.map((name, index) => [name, cells[index] ?? ""])));
}

const decimal = /^-?[0-9]+(\.[0-9]+)?$/;
const instant = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;
/** The attribute UnitFormat: a plural noun, or a count of it. */
const unit = /^([0-9]+ )?[A-Z][a-z]+s$/;
const text = /./;

/** Of the specification's tables: every mandatory column, and those others that we fill. `null` may be empty. */
const rules: readonly [string, RegExp | readonly string[], "null"?][] = [
  ["BilledCost", decimal],
  ["BillingAccountId", text],
  ["BillingAccountName", text, "null"],
  ["BillingCurrency", /^[A-Z]{3}$/],
  ["BillingPeriodEnd", instant],
  ["BillingPeriodStart", instant],
  ["ChargeCategory", ["Usage", "Purchase", "Tax", "Credit", "Adjustment"]],
  ["ChargeClass", ["Correction"], "null"],
  ["ChargeDescription", text, "null"],
  ["ChargePeriodEnd", instant],
  ["ChargePeriodStart", instant],
  ["ContractedCost", decimal],
  ["EffectiveCost", decimal],
  ["InvoiceIssuerName", text],
  ["ListCost", decimal],
  ["PricingQuantity", decimal, "null"],
  ["PricingUnit", unit, "null"],
  ["ServiceCategory", ["AI and Machine Learning"]],
  ["ServiceName", text],
  // 1.2 has these; in 1.3 they are deprecated.
  ["ProviderName", text],
  ["PublisherName", text],
  // Since 1.3.
  ["HostProviderName", text],
  ["ServiceProviderName", text],
  // Recommended or conditional.
  ["ChargeFrequency", ["One-Time", "Recurring", "Usage-Based"]],
  ["ConsumedQuantity", decimal, "null"],
  ["ConsumedUnit", unit, "null"],
  ["PricingCategory", ["Standard", "Dynamic", "Committed", "Other"], "null"],
  [
    "ServiceSubcategory",
    [
      "AI Platforms",
      "Bots",
      "Generative AI",
      "Machine Learning",
      "Natural Language Processing",
      "Other (AI and Machine Learning)",
    ],
  ],
  ["SkuId", text, "null"],
  ["SkuMeter", text, "null"],
  ["SkuPriceId", text, "null"],
  ["SubAccountId", text, "null"],
  ["SubAccountName", text, "null"],
  ["SubAccountType", text, "null"],
  ["Tags", /^\{.*\}$/, "null"],
];

/** The attribute KeyValueFormat: unique keys, and no values but text, numbers, booleans and null. */
function checkTags(tags: string): void {
  if (tags === "") return;
  for (const [key, value] of Object.entries(JSON.parse(tags) as object)) {
    assert.notEqual(key, "");
    assert.ok(typeof value === "string" || value === true, tags);
  }
}

const nulls = (line: Line, ...names: string[]): boolean[] => names.map((name) => line[name] === "");

/** Rules that relate columns to each other. */
function checkTogether(line: Line): void {
  const cell = (name: string): string => line[name] ?? "";
  assert.ok(cell("BillingPeriodStart") < cell("BillingPeriodEnd"));
  assert.ok(cell("ChargePeriodStart") < cell("ChargePeriodEnd"));
  assert.ok(cell("BillingPeriodStart") <= cell("ChargePeriodStart"));
  assert.ok(cell("ChargePeriodEnd") <= cell("BillingPeriodEnd"));
  assert.equal(cell("ChargeCategory"), "Usage");
  // Of usage that corrects nothing, these must not be null.
  const filled = nulls(line, "PricingQuantity", "ConsumedQuantity", "PricingCategory", "SkuId", "SkuPriceId");
  assert.ok(!filled.includes(true));
  for (const [quantity, of] of [
    ["PricingQuantity", "PricingUnit"],
    ["ConsumedQuantity", "ConsumedUnit"],
    ["SkuId", "SkuMeter"],
    ["SubAccountId", "SubAccountName"],
    ["SubAccountId", "SubAccountType"],
  ] as const)
    assert.equal(...(nulls(line, quantity, of) as [boolean, boolean]));
  // No unit price is given, and no discount is apart, so that the costs agree.
  assert.equal(cell("ListCost"), cell("EffectiveCost"));
  assert.equal(cell("ContractedCost"), cell("EffectiveCost"));
  checkTags(cell("Tags"));
}

function check(csv: string): Line[] {
  const lines = linesOf(csv);
  const head = (csv.split("\r\n")[0] ?? "").split(",");
  const known = rules.map(([name]) => name);
  const [own, specified] = [head.filter((name) => !known.includes(name)), head.filter((name) => known.includes(name))];
  assert.deepEqual(specified.toSorted(), known.toSorted());
  assert.deepEqual(head, [...specified, ...own]);
  for (const name of own) assert.match(name, /^x_[A-Z][A-Za-z]*$/);
  for (const line of lines) {
    for (const [name, form, nullable] of rules) {
      const value = line[name] ?? "";
      if (value === "" && nullable === "null") continue;
      assert.ok(form instanceof RegExp ? form.test(value) : form.includes(value), `${name}: ${value}`);
    }
    checkTogether(line);
  }
  return lines;
}

describe("a FOCUS dataset", () => {
  it("has every mandatory column, with allowed values", () => {
    const [line = {}] = check(focusCsv([row()], options));
    assert.deepEqual(
      [line["BilledCost"], line["EffectiveCost"], line["ConsumedQuantity"], line["PricingQuantity"]],
      ["3.345670001", "3.345670001", "1234567", "1.234567"],
    );
    assert.deepEqual(
      [line["BillingPeriodStart"], line["BillingPeriodEnd"], line["ChargePeriodStart"], line["ChargePeriodEnd"]],
      ["2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z", "2027-02-01T00:00:00Z", "2027-02-02T00:00:00Z"],
    );
    assert.deepEqual(
      [line["ServiceProviderName"], line["InvoiceIssuerName"], line["SubAccountId"], line["SkuId"]],
      ["OpenAI", "Platform", "a", "a/openai/gpt-4o"],
    );
    assert.deepEqual(JSON.parse(line["Tags"] ?? ""), {
      "cost-center": "4711",
      "sluice:team": "red",
      "tag:night": true,
    });
    assert.equal(line["x_User"], "");
  });

  for (const [name, more, expected] of [
    [
      "a charge without tokens is counted in requests",
      { promptTokens: 0, completionTokens: 0 },
      ["2", "Requests", "2"],
    ],
    ["a round million of tokens", { promptTokens: 1_000_000, completionTokens: 0 }, ["1000000", "Tokens", "1"]],
    ["a single token", { promptTokens: 1, completionTokens: 0 }, ["1", "Tokens", "0.000001"]],
    ["an answer from the cache", { provider: "", costNanoUsd: 0 }, ["1234567", "Tokens", "1.234567"]],
    ["a namespace that is none", { namespace: "" }, ["1234567", "Tokens", "1.234567"]],
  ] as const)
    it(`counts: ${name}`, () => {
      const [line = {}] = check(focusCsv([row(more)], options));
      assert.deepEqual([line["ConsumedQuantity"], line["ConsumedUnit"], line["PricingQuantity"]], expected);
    });

  it("leaves out calls that used nothing", () => {
    const refused = { promptTokens: 0, completionTokens: 0, costNanoUsd: 0, model: "", provider: "", errors: 2 };
    assert.deepEqual(check(focusCsv([row(refused)], options)), []);
  });

  it("bills nothing that a provider's own export bills", () => {
    const [line = {}] = check(focusCsv([row()], { ...options, issuer: null }));
    assert.deepEqual(
      [line["BilledCost"], line["EffectiveCost"], line["InvoiceIssuerName"]],
      ["0.00", "3.345670001", "OpenAI"],
    );
  });

  it("keeps days and months of the zone", () => {
    const berlin = { ...options, timeZone: "Europe/Berlin" };
    const [line = {}] = check(focusCsv([row({ hourMs: Date.parse("2027-01-31T23:00:00Z") })], berlin));
    assert.deepEqual(
      [line["BillingPeriodStart"], line["ChargePeriodStart"], line["ChargePeriodEnd"]],
      ["2027-01-31T23:00:00Z", "2027-01-31T23:00:00Z", "2027-02-01T23:00:00Z"],
    );
  });

  it("holds for any ledger, and its costs add up exactly", () => {
    const rows = fc.array(
      fc
        .record({
          hour: fc.nat(24 * 90),
          namespace: fc.constantFrom("a", "b", ""),
          team: fc.constantFrom("red", "", '"x", {y}'),
          key: fc.constantFrom("a/ann", "b/bob", ""),
          model: fc.constantFrom("gpt-4o", "", "=1+1"),
          provider: fc.constantFrom("a/openai", ""),
          promptTokens: fc.nat(3),
          completionTokens: fc.nat(10_000_000),
          costNanoUsd: fc.oneof(fc.nat(1000), fc.maxSafeNat()),
        })
        .map(({ hour, ...more }) => row({ hourMs: Date.parse("2027-01-01T00:00:00Z") + hour * 3_600_000, ...more })),
    );
    const how = fc.record({
      groupBy: fc.subarray(["namespace", "user", "team", "role", "key", "route"] as const),
      chargePeriod: fc.constantFrom("hour" as const, "day" as const),
      timeZone: fc.constantFrom("UTC", "Europe/Berlin", "America/New_York"),
    });
    const nano = (amount = ""): bigint => {
      const [whole = "0", fraction = ""] = amount.split(".");
      return BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
    };
    fc.assert(
      fc.property(rows, how, (all, more) => {
        const lines = check(focusCsv(all, { ...options, ...more }));
        assert.equal(
          lines.reduce((sum, line) => sum + nano(line["EffectiveCost"]), 0n),
          all.reduce((sum, { costNanoUsd }) => sum + BigInt(costNanoUsd), 0n),
        );
      }),
      { numRuns: runs(60) },
    );
  });
});

/** The cells of a Parquet file as the CSV writes them. The reader gives decimals as numbers. */
async function parquetLines(file: Buffer): Promise<Line[]> {
  const rows = await parquetReadObjects({ file: Uint8Array.from(file).buffer });
  const cell = (name: string, value: unknown): string => {
    if (value === null || value === undefined) return "";
    if (focusTypeOf(name) === "decimal") return (value as number).toFixed(9);
    return value instanceof Date ? value.toISOString().replace(".000Z", "Z") : String(value);
  };
  return rows.map((cells) =>
    Object.fromEntries(Object.entries(cells).map(([name, value]) => [name, cell(name, value)])),
  );
}

const withDecimals = (line: Line): Line =>
  Object.fromEntries(
    Object.entries(line).map(([name, value]) => [
      name,
      focusTypeOf(name) === "decimal" ? Number(value).toFixed(9) : value,
    ]),
  );

describe("a FOCUS dataset as a Parquet file", () => {
  it("has the columns of the CSV in the specification's types", () => {
    const schema = parquetSchema(parquetMetadata(Uint8Array.from(focusParquet([], options)).buffer));
    const types = Object.fromEntries(
      schema.children.map(({ element: { name, type, converted_type: kind, precision, scale } }) => [
        name,
        [type, kind, precision, scale].filter((part) => part !== undefined).join(" "),
      ]),
    );
    assert.deepEqual(Object.keys(types), focusCsv([], options).split(","));
    assert.equal(types["EffectiveCost"], "FIXED_LEN_BYTE_ARRAY DECIMAL 38 9");
    assert.equal(types["ChargePeriodStart"], "INT64 TIMESTAMP_MILLIS");
    assert.equal(types["x_Requests"], "INT64");
    assert.equal(types["Tags"], "BYTE_ARRAY UTF8");
  });

  it("has the rows of the CSV", async () => {
    const rows = [
      row(),
      row({ user: "bob", team: "", costNanoUsd: 1, provider: "", promptTokens: 0, completionTokens: 1 }),
      row({
        hourMs: Date.parse("2027-02-28T23:00:00Z"),
        namespace: "",
        key: "b/none",
        model: "",
        costNanoUsd: 999_999_999_999,
      }),
    ];
    const wanted = linesOf(focusCsv(rows, options)).map(withDecimals);
    assert.equal(wanted.length, 3);
    assert.deepEqual(await parquetLines(focusParquet(rows, options)), wanted);
  });
});

describe("cost-report --format focus", () => {
  let folder: string;
  let file: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-focus-"));
    file = join(folder, "ledger.csv");
    const exported = exportedRow(row(), null);
    await writeFile(file, `${csvLine(Object.keys(exported))}\r\n${csvLine(Object.values(exported))}\r\n`);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("writes the dataset of an exported ledger", async () => {
    const { code, stdout, stderr } = await sluice(
      ...["cost-report", "--ledger", file, "--format", "focus", "--group-by", "user,hour"],
      ...["--billed-by", "providers", "--provider-name", "a/openai=OpenAI", "--billing-account", "acme"],
    );
    assert.equal(code, 0);
    assert.equal(stderr, "with estimated tokens: 1 request\n");
    const [line = {}] = check(stdout);
    assert.deepEqual(
      [line["ChargePeriodEnd"], line["x_User"], line["BillingAccountId"], line["InvoiceIssuerName"]],
      ["2027-02-01T11:00:00Z", "ann", "acme", "OpenAI"],
    );
  });

  it("writes a Parquet file", async () => {
    const { code, stdout } = await sluice("cost-report", "--ledger", file, "--format", "focus", "-o", "parquet");
    assert.equal(code, 0);
    assert.ok(stdout.startsWith("PAR1") && stdout.endsWith("PAR1"));
  });

  it("has a table of the same file", async () => {
    const { code, stdout } = await sluice("cost-report", "--ledger", file, "--group-by", "user,day", "-o", "csv");
    assert.equal(code, 0);
    assert.match(stdout, /^ann,2027-02-01,2,/m);
  });

  for (const [name, args, why] of [
    ["another format", ["--format", "focux"], /--format must be focus, not focux/],
    ["another output", ["--format", "focus", "-o", "json"], /--format focus writes csv or parquet, not json/],
    [
      "a group that is none",
      ["--format", "focus", "--group-by", "month"],
      /--group-by with --format focus is a list of/,
    ],
    ["a provider without a company", ["--format", "focus", "--provider-name", "openai"], /such as team-a\/chat=Acme/],
    ["an option of it alone", ["--billed-by", "providers"], /--billed-by goes with --format focus/],
    ["two sources", ["--url", "http://127.0.0.1:1"], /give --ledger, or --url/],
    ["tags of a file", ["--group-by", "tag"], /a file of the ledger has no tags and labels/],
  ] as const)
    it(`refuses ${name}`, async () => {
      const { code, stderr } = await sluice("cost-report", "--ledger", file, ...args);
      assert.equal(code, 2);
      assert.match(stderr, why);
    });
});
