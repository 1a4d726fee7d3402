/** `sluice diff OLD NEW --usage`: what a change would do to calls that were made. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { usageBetween } from "../../cli/usage/between.ts";
import { usageAsMarkdown } from "../../cli/usage/output.ts";
import { readUsage } from "../../cli/usage/read.ts";
import { CsvReader, csvLine } from "../../operator/csv.ts";
import { compileOffline } from "../../operator/folder/compile-offline.ts";
import { operatorSettings } from "../../operator/settings/settings.ts";
import type { LedgerRow } from "../../proxy/config/ledger.ts";
import { exportedRow, nanoUsdOf, usd } from "../../proxy/config/usage-report.ts";
import { ledgerRow } from "../harness/ledger-row.ts";
import fc, { runs } from "../harness/property.ts";
import { sluice, sluiceWith } from "../harness/sluice.ts";

const nowMs = Date.parse("2027-02-08T12:00:00Z");
const pepper = new Uint8Array(32);
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-usage-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const head = "apiVersion: sluice.dev/v1alpha1\n";
const provider = (name: string, models: string, more = "") =>
  `${head}kind: LLMProvider\nmetadata: { name: ${name}, namespace: a }\nspec: { type: OpenAI, endpoint: "https://${name}.example.com/v1", credentials: { secretRef: { name: c, key: k } }, models: [${models}]${more} }\n`;
const priced = (model: string, input: number, output = 0) =>
  `{ name: ${model}, price: { inputPerMillion: "${input}", outputPerMillion: "${output}" } }`;
const policy = (targets: string, more = "", match = "models: [gpt]") =>
  `${head}kind: RoutingPolicy\nmetadata: { name: chat, namespace: a }\nspec: { match: { ${match} }, routing: { targets: [${targets}]${more} } }\n`;
const key = (user: string, more = "") =>
  `${head}kind: ApiKey\nmetadata: { name: ${user}, namespace: a }\nspec: { user: ${user}, writeTo: { name: ${user} }${more} }\n`;
const budget = (amount: string, more = "") =>
  `${head}kind: Budget\nmetadata: { name: daily, namespace: a }\nspec: { amount: "${amount}", period: Daily${more} }\n`;
const access = (rules: string) =>
  policy("{ provider: { name: up } }").replace("routing:", `access: { ${rules} }, routing:`);

const up = provider("up", priced("gpt", 2));
const twin = provider("twin", priced("gpt", 6));
const toUp = "{ provider: { name: up } }";
const toTwin = "{ provider: { name: twin } }";
const weighing = (target: string, weight: number) => target.replace(/ }$/, `, weight: ${weight} }`);
const named = `{ name: one, ${toUp.slice(2)}, { name: two, ${toTwin.slice(2)}`;
const base = [up, twin, key("ann"), key("bob", ", team: b")];

/** A million tokens of prompt: they cost the price. */
const row = (more: Partial<LedgerRow> = {}): LedgerRow =>
  ledgerRow({
    ...{ hourMs: Date.parse("2027-02-01T10:00:00Z"), namespace: "a", user: "ann", role: "developer", key: "a/ann" },
    ...{ route: "a/chat", model: "gpt", provider: "a/up", requests: 10 },
    ...{ promptTokens: 1_000_000, completionTokens: 0, costNanoUsd: 2_000_000_000 },
    ...more,
  });

async function configOf(manifests: readonly string[], previous: Parameters<typeof usageBetween>[1]["before"] | null) {
  const file = join(folder, "all.yaml");
  await writeFile(file, manifests.join("---\n"));
  const settings = operatorSettings.parse({
    namespace: "sluice-system",
    secretAccess: "Namespace",
    sharingNamespaces: ["a"],
    anonymousNamespaces: ["a"],
    pathPrefixes: { "*": ["/"] },
    roles: { intern: { permissions: ["use_models"], limits: { costPerDay: "1" } } },
  });
  const read = await compileOffline([file], {}, { pepper, previous, nowMs, secrets: "assumed", settings });
  assert.deepEqual(
    read.findings.filter(({ severity }) => severity === "error"),
    [],
  );
  return read.compiled.config;
}

async function between(old: readonly string[], now: readonly string[], rows: readonly LedgerRow[]) {
  const before = await configOf(old, null);
  const after = await configOf(now, before);
  return usageBetween(rows, { before, after, nowMs, groupBy: ["user"] });
}

/** `effect user calls: change, cost before → after in USD`. */
const said = ({ effects }: Awaited<ReturnType<typeof between>>): string[] =>
  effects.map(
    ({ effect, by, calls, from, to, code, beforeNanoUsd, afterNanoUsd }) =>
      `${effect} ${by.user} ${calls}: ${code ?? `${from} → ${to}`}, ${beforeNanoUsd / 1e9} → ${afterNanoUsd / 1e9}`,
  );

describe("a change, replayed on the ledger", () => {
  const rows: { name: string; old: string[]; now: string[]; rows?: LedgerRow[]; says: string[] }[] = [
    { name: "says nothing if nothing changes", old: [...base, policy(toUp)], now: [...base, policy(toUp)], says: [] },
    {
      name: "leaves out copies that went to a shadow",
      old: [...base, policy(toUp)],
      now: [...base, policy(toTwin)],
      rows: [row({ user: "(shadow)", role: "", key: "", provider: "a/twin" })],
      says: [],
    },
    {
      name: "says who goes to another provider, and at what price",
      old: [...base, policy(toUp)],
      now: [...base, policy(toTwin)],
      says: ["moved ann 10: a/up gpt → a/twin gpt, 2 → 6"],
    },
    {
      name: "says who goes to another model of the same provider",
      old: [provider("up", `${priced("gpt", 2)}, ${priced("mini", 1)}`), key("ann"), policy(toUp)],
      now: [
        provider("up", `${priced("gpt", 2)}, ${priced("mini", 1)}`),
        key("ann"),
        policy("{ provider: { name: up }, model: mini }"),
      ],
      says: ["moved ann 10: a/up gpt → a/up mini, 2 → 1"],
    },
    {
      name: "says who pays another price at the same place",
      old: [...base, policy(toUp)],
      now: [provider("up", priced("gpt", 3)), ...base.slice(1), policy(toUp)],
      says: ["cost ann 10: a/up gpt → a/up gpt, 2 → 3"],
    },
    {
      name: "keeps what the tokens don't explain when a price changes",
      old: [...base, policy(toUp)],
      now: [provider("up", priced("gpt", 3)), ...base.slice(1), policy(toUp)],
      rows: [row({ costNanoUsd: 2_500_000_000 })],
      says: ["cost ann 10: a/up gpt → a/up gpt, 2.5 → 3.5"],
    },
    {
      name: "says who lacks the team that is asked for now",
      old: [...base, policy(toUp)],
      now: [...base, access("teams: [b]")],
      rows: [row(), row({ user: "bob", key: "a/bob", team: "b" })],
      says: ["refused ann 10: access_denied, 2 → 0"],
    },
    {
      name: "says who is served again",
      old: [...base, access("teams: [b]")],
      now: [...base, policy(toUp)],
      says: ["served ann 10: access_denied, 0 → 2"],
    },
    {
      name: "says whose key goes, is revoked, or may not use the model",
      old: [...base, key("cy"), policy(toUp)],
      now: [up, twin, key("bob", ", revoked: true"), key("cy", ", models: [other]"), policy(toUp)],
      rows: [row(), row({ user: "bob", key: "a/bob" }), row({ user: "cy", key: "a/cy" })],
      says: [
        "refused ann 10: invalid_api_key, 2 → 0",
        "refused bob 10: revoked_api_key, 2 → 0",
        "refused cy 10: model_not_allowed, 2 → 0",
      ],
    },
    {
      name: "says whose model no policy serves any more",
      old: [...base, policy(toUp)],
      now: [...base, policy(toUp, "", "models: [other]").replace("name: up }", "name: up }, model: gpt")],
      says: ["refused ann 10: model_not_found, 2 → 0"],
    },
    {
      name: "says whose path is gone",
      old: [...base, policy(toUp, "", "pathPrefix: /chat")],
      now: [...base, policy(toUp, "", "pathPrefix: /talk")],
      says: ["refused ann 10: unknown_url, 2 → 0"],
    },
    {
      name: "follows a policy that names another model",
      old: [
        ...base,
        policy(toUp)
          .replace("routing:", "request: { overrides: { model: gpt } }, routing:")
          .replace("models: [gpt]", "models: [best]"),
      ],
      now: [
        ...base,
        policy(toTwin)
          .replace("routing:", "request: { overrides: { model: gpt } }, routing:")
          .replace("models: [gpt]", "models: [best]"),
      ],
      says: ["moved ann 10: a/up gpt → a/twin gpt, 2 → 6"],
    },
    {
      name: "moves no more calls than shares change",
      old: [...base, policy(`${weighing(toUp, 1)}, ${weighing(toTwin, 1)}`, ", strategy: Weighted")],
      now: [...base, policy(`${weighing(toUp, 4)}, ${weighing(toTwin, 1)}`, ", strategy: Weighted")],
      rows: [row(), row({ provider: "a/twin", costNanoUsd: 6_000_000_000 })],
      says: ["moved ann 6: a/twin gpt → a/up gpt, 3.6 → 1.2"],
    },
    {
      name: "moves a canary's share",
      old: [...base, policy(`${toUp}, ${toTwin}`)],
      now: [
        ...base,
        policy(
          `{ name: old, provider: { name: up } }, { name: new, provider: { name: twin } }`,
          ", canary: { target: new, percent: 20, for: 1h, succeedWhen: { errorRate: '<1%' } }",
        ),
      ],
      says: ["moved ann 2: a/up gpt → a/twin gpt, 0.4 → 1.2"],
    },
    {
      name: "leaves calls where a target had failed, as long as they may go there",
      old: [...base, policy(`${toUp}, ${toTwin}`)],
      now: [provider("up", priced("gpt", 3)), ...base.slice(1), policy(`${toUp}, ${toTwin}`)],
      rows: [row({ provider: "a/twin", costNanoUsd: 6_000_000_000 })],
      says: [],
    },
    {
      name: "moves calls from a target that is taken out",
      old: [...base, policy(`${toUp}, ${toTwin}`)],
      now: [...base, policy(toUp)],
      rows: [row({ provider: "a/twin", costNanoUsd: 6_000_000_000 })],
      says: ["moved ann 10: a/twin gpt → a/up gpt, 6 → 2"],
    },
    {
      name: "follows rules on teams and on the size of the prompt",
      old: [...base, policy(named)],
      now: [
        ...base,
        policy(
          named,
          ", rules: [{ when: { teams: [b] }, use: [two] }, { when: { promptTokens: { greaterThan: 150000 } }, use: [two] }]",
        ),
      ],
      rows: [
        row(),
        row({ user: "bob", key: "a/bob", team: "b" }),
        row({ requests: 5, hourMs: Date.parse("2027-02-01T11:00:00Z") }),
      ],
      says: ["moved bob 10: a/up gpt → a/twin gpt, 2 → 6", "moved ann 5: a/up gpt → a/twin gpt, 2 → 6"],
    },
    {
      name: "goes by the targets that a rule leaves",
      old: [up, provider("twin", "{ name: gpt }"), key("ann"), budget("100"), policy(named)],
      now: [
        ...[up, provider("twin", "{ name: gpt }"), key("ann"), budget("100")],
        policy(named, ", rules: [{ when: { users: [ann] }, use: [one] }]"),
      ],
      says: ["served ann 10: price_unknown, 0 → 2"],
    },
    {
      name: "says when a hard budget would be used up, hour by hour",
      old: [...base, policy(toUp)],
      now: [...base, policy(toUp), budget("3")],
      rows: [9, 10, 11].map((hour) =>
        row({ hourMs: Date.parse(`2027-02-01T${String(hour).padStart(2, "0")}:00:00Z`) }),
      ),
      says: ["refused ann 15: budget_exceeded, 3 → 0"],
    },
    {
      name: "counts what calls would cost after the change against a budget",
      old: [...base, policy(toUp), budget("4")],
      now: [...base, policy(toTwin), budget("4")],
      says: ["refused ann 3: budget_exceeded, 0.666666667 → 0", "moved ann 7: a/up gpt → a/twin gpt, 1.333333333 → 4"],
    },
    {
      name: "starts a budget's periods afresh, and counts users apart",
      old: [...base, policy(toUp)],
      now: [...base, policy(toUp), budget("2", ", per: User")],
      rows: [row(), row({ user: "bob", key: "a/bob" }), row({ hourMs: Date.parse("2027-02-02T10:00:00Z") })],
      says: [],
    },
    {
      name: "lets a budget that only warns refuse nothing",
      old: [...base, policy(toUp)],
      now: [...base, policy(toUp), budget("1", ", enforcement: Soft")],
      says: [],
    },
    {
      name: "says who would have no known price under a hard budget",
      old: [provider("up", "{ name: gpt }"), key("ann"), policy(toUp)],
      now: [provider("up", "{ name: gpt }"), key("ann"), policy(toUp), budget("100")],
      rows: [row({ costNanoUsd: 0, unpriced: 10 })],
      says: ["refused ann 10: price_unknown, 0 → 0"],
    },
    {
      name: "counts a role's daily limit",
      old: [up, key("ann"), policy(toUp)],
      now: [up, key("ann", ", role: intern"), policy(toUp)],
      says: ["refused ann 5: budget_exceeded, 1 → 0"],
    },
    {
      name: "knows callers with a token of an issuer, and callers without a key",
      old: [...base, access("anonymous: true").replace("match: {", "match: { pathPrefix: /chat,")],
      now: [...base, access("teams: [b]").replace("match: {", "match: { pathPrefix: /chat,")],
      rows: [
        row({ user: "eve", key: "a/okta:eve", team: "b" }),
        row({ user: "dan", key: "a/okta:dan", team: "c" }),
        row({ user: "", key: "" }),
      ],
      says: ["refused dan 10: access_denied, 2 → 0", "refused  10: missing_api_key, 2 → 0"],
    },
  ];
  for (const { name, old, now, rows: usage = [row()], says } of rows)
    it(name, async () => {
      assert.deepEqual(said(await between(old, now, usage)), says);
    });

  it("leaves out calls that no model answered, and callers that neither folder has", async () => {
    const refused = row({ provider: "", errors: 10, costNanoUsd: 0 });
    const usage = [row(), refused, row({ route: "", model: "", provider: "" }), row({ key: "a/gone" })];
    const { calls, notes } = await between([...base, policy(toUp)], [...base, policy(toTwin)], usage);
    assert.equal(calls, 10);
    assert.deepEqual(notes, [
      "left out: 20 calls that no model answered, most of them refused",
      "left out: 10 calls of callers that neither folder has",
    ]);
  });

  it("accounts for every call and every cent, whatever the change", async () => {
    const targets = [toUp, toTwin].map((target, index) => `{ name: t${index}, ${target.slice(2)}`);
    const policies = [
      policy(targets.join(", ")),
      policy(targets.join(", ").replaceAll(" } }", " }, weight: 3 }"), ", strategy: Weighted"),
      policy(targets.join(", "), ", strategy: RoundRobin"),
      policy(targets.join(", "), ", affinity: { by: User }"),
      policy(targets.join(", "), ", canary: { target: t1, percent: 30, for: 1h, succeedWhen: { errorRate: '<1%' } }"),
      policy(targets[1] ?? ""),
      access("teams: [b]"),
    ];
    const configs = new Map<string, Awaited<ReturnType<typeof configOf>>>();
    for (const [index, one] of policies.entries())
      for (const limit of ["", "5", "7"]) {
        const manifests = [...base, one, ...(limit === "" ? [] : [budget(limit)])];
        configs.set(`${index} ${limit}`, await configOf(manifests, null));
      }
    const usage = fc.record({
      user: fc.constantFrom("ann", "bob"),
      provider: fc.constantFrom("a/up", "a/twin", "a/gone"),
      requests: fc.integer({ min: 1, max: 1000 }),
      promptTokens: fc.integer({ min: 0, max: 3_000_000 }),
      costNanoUsd: fc.integer({ min: 0, max: 4_000_000_000 }),
      hour: fc.integer({ min: 0, max: 40 }),
    });
    const name = fc.constantFrom(...configs.keys());
    fc.assert(
      fc.property(fc.array(usage, { maxLength: 12 }), name, name, (given, from, to) => {
        const rows = given.map(({ hour, user, ...more }) =>
          row({ ...more, user, key: `a/${user}`, team: user === "bob" ? "b" : "", hourMs: hour * 3_600_000 }),
        );
        const [before, after] = [configs.get(from), configs.get(to)];
        assert.ok(before !== undefined && after !== undefined);
        const same = usageBetween(rows, { before, after: before, nowMs, groupBy: ["user"] });
        assert.deepEqual(same.effects, []);
        assert.ok(Math.abs(same.beforeNanoUsd - same.afterNanoUsd) <= 1);
        const { effects, sums, calls, beforeNanoUsd } = usageBetween(rows, { before, after, nowMs, groupBy: ["user"] });
        assert.ok(sums.refused + sums.served + sums.moved + sums.cost <= calls + 3);
        const paid = rows.reduce((sum, one) => sum + one.costNanoUsd, 0);
        assert.ok(beforeNanoUsd <= paid + 1);
        for (const { calls: some, afterNanoUsd, beforeNanoUsd: paidBefore, effect } of effects) {
          assert.ok(Number.isSafeInteger(some) && some >= 0 && some <= calls);
          assert.ok(Number.isSafeInteger(afterNanoUsd) && afterNanoUsd >= 0 && paidBefore >= 0);
          if (effect === "refused") assert.equal(afterNanoUsd, 0);
          if (effect === "served") assert.equal(paidBefore, 0);
        }
      }),
      { numRuns: runs(400) },
    );
  });
});

describe("sluice diff --usage", () => {
  const line = (one: LedgerRow) => exportedRow(one, null);
  const exported = [row(), row({ user: '=cmd,\n"x"', key: "a/bob", team: "b" })];
  const csv = `${csvLine(Object.keys(line(row())))}\r\n${exported.map((one) => `${csvLine(Object.values(line(one)))}\r\n`).join("")}`;
  const jsonl = exported.map((one) => `${JSON.stringify(line(one))}\n`).join("");
  let old: string;
  let now: string;
  before(async () => {
    [old, now] = [join(folder, "old.yaml"), join(folder, "new.yaml")];
    await writeFile(old, [...base, policy(toUp)].join("---\n"));
    await writeFile(now, [...base, policy(toTwin)].join("---\n"));
  });

  it("reads CSV and JSON lines, from a file and from standard input", async () => {
    const usage = join(folder, "usage.csv");
    await writeFile(usage, csv);
    const args = ["diff", old, now, "-o", "json", "--usage"];
    const fromFile = await sluice(...args, usage);
    assert.equal(fromFile.code, 1, fromFile.stderr);
    const { usage: report } = JSON.parse(fromFile.stdout) as { usage: Record<string, unknown> };
    assert.deepEqual(
      [report["calls"], report["moved"], report["before_usd"], report["after_usd"]],
      [20, 20, "4.00", "12.00"],
    );
    assert.deepEqual(
      (report["effects"] as { user: string; team: string }[]).map(({ user, team }) => [user, team]),
      [
        ["ann", ""],
        ['=cmd,\n"x"', "b"],
      ],
    );
    for (const input of [csv, jsonl, jsonl.trim()])
      assert.equal((await sluiceWith({ input }, ...args, "-")).stdout, fromFile.stdout);
  });

  it("prints a sentence and a table", async () => {
    const { stdout } = await sluiceWith({ input: jsonl }, "diff", old, now, "--usage", "-", "--by", "team");
    assert.match(
      stdout,
      /\n\nOf 20 calls from 2027-02-01T10:00:00.000Z to 2027-02-01T11:00:00.000Z, 20 would go to another provider or model\. They would cost USD 12\.00 instead of 4\.00 \(\+8\.00\)\.\n/,
    );
    assert.match(
      stdout,
      /\nEFFECT +CALLS +TEAM +CHANGE +USD\nmoved +10 +- +a\/up gpt → a\/twin gpt +2\.00 → 6\.00\nmoved +10 +b +/,
    );
  });

  it("prints a table for a comment, in which no name is markup", async () => {
    const { stdout } = await sluiceWith({ input: jsonl }, "diff", old, now, "--usage", "-", "-o", "markdown");
    assert.match(stdout, /\n### What it would have done to recent calls\n\nOf 20 calls/);
    assert.match(
      stdout,
      /^\| moved \| 10 \| `a` \| `=cmd, "x"` \| `b` \| `gpt` \| `a\/up gpt → a\/twin gpt` \| `2\.00 → 6\.00` \|$/m,
    );
  });

  it("says that nothing would change", async () => {
    const { code, stdout } = await sluiceWith({ input: jsonl }, "diff", old, old, "--usage", "-");
    assert.deepEqual([code, /, nothing would change\. They cost USD 4\.00\.\n$/.test(stdout)], [0, true], stdout);
  });

  const misuses: [string, string, RegExp][] = [
    [
      "a file of something else",
      "name,cost\nx,1\n",
      /: row 2: there is no namespace; give a file that sluice ledger export wrote/,
    ],
    ["JSON of something else", '{"x":1}\n', /:1: there is no namespace/],
    ["broken JSON", "{x\n", /:1: this is not JSON/],
    ["a broken amount", jsonl.replaceAll('"2.00"', '"2,00"'), /:1: cost_usd is not an amount/],
    ["a broken number", jsonl.replaceAll('"requests":10', '"requests":-1'), /:1: requests is not a whole number/],
  ];
  for (const [name, text, says] of misuses)
    it(`refuses ${name}`, async () => {
      const file = join(folder, "broken");
      await writeFile(file, text);
      await assert.rejects(readUsage(file), (error: Error) => says.test(error.message));
    });

  const misspelt: [string[], RegExp][] = [
    [["--usage", "/nowhere.csv"], /\/nowhere\.csv: there is no such file/],
    [["--usage", "-", "--from-cluster", "7d", "--by", "user"], /not both/],
    [["--usage", "-", "--by", "user,colour"], /--by must be a list of .*, not colour/],
    [["--from-cluster", "week"], /7d, not week/],
  ];
  for (const [args, says] of misspelt)
    it(`refuses ${args.join(" ")}`, async () => {
      const { code, stdout, stderr } = await sluiceWith({ input: "" }, "diff", old, now, ...args);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, says);
    });
});

it("CSV is read as it was written, in pieces of any size", () => {
  const cell = fc.string({ unit: fc.constantFrom("a", '"', ",", "\n", "\r", "=", "é", " ") });
  fc.assert(
    fc.property(
      fc.array(fc.array(cell, { minLength: 2, maxLength: 4 })),
      fc.integer({ min: 1, max: 9 }),
      (records, size) => {
        const text = records.map((record) => `${csvLine(record)}\r\n`).join("");
        const reader = new CsvReader();
        const read: string[][] = [];
        for (let start = 0; start < text.length; start += size)
          read.push(...reader.read(text.slice(start, start + size)));
        assert.equal(reader.end(), null);
        assert.deepEqual(read, records);
      },
    ),
  );
});

it("an amount is read as it was written", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (nanoUsd) => {
      assert.equal(nanoUsdOf(usd(nanoUsd)), nanoUsd);
    }),
  );
  for (const text of ["", "1,5", "-1", "1e9", "1.0000000001"]) assert.equal(nanoUsdOf(text), null);
});

it("a comment holds the first hundred effects and counts the others", () => {
  const effect = { effect: "moved" as const, calls: 1, from: "a", to: "b", status: null, code: null, message: null };
  const effects = Array.from({ length: 130 }, (_, index) => ({
    ...effect,
    by: { user: `u${index}` },
    beforeNanoUsd: 0,
    afterNanoUsd: 0,
  }));
  const sums = { refused: 0, served: 0, moved: 130, cost: 0 };
  const report = { fromMs: 0, toMs: 1, calls: 130, sums, beforeNanoUsd: 0, afterNanoUsd: 0, effects, notes: [] };
  assert.match(usageAsMarkdown(report, ["user"]), /^\| and 30 more \| \| \| \| \|$/m);
});
