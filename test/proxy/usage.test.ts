/** The usage ledger as key holders and report commands see it. */
import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { LedgerRow } from "../../proxy/config/ledger.ts";
import { dayStartMs } from "../../proxy/config/periods.ts";
import { groupRows, inCurrency, usd } from "../../proxy/config/usage-report.ts";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { pastDayTurn } from "../harness/day-turn.ts";
import {
  eventually,
  key,
  type Manifest,
  policy,
  provider,
  secret,
  startGateway,
  type TestGateway,
} from "../harness/gateway.ts";
import { ledgerRow } from "../harness/ledger-row.ts";
import fc from "../harness/property.ts";
import { sluice, sluiceWith } from "../harness/sluice.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

type Json = Record<string, unknown>;
const clearOf = (name: string): string => `slc_usage_${name}_key_01`;

describe("usage", () => {
  let upstream: Upstream;
  let gateway: TestGateway;

  before(async () => {
    upstream = await startUpstream();
    const price = { inputPerMillion: "2", outputPerMillion: "10" };
    const elsewhere: Manifest[] = key("eve", clearOf("eve")).map((one) => ({
      ...one,
      metadata: { ...one.metadata, namespace: "other" },
    }));
    // Reports cover the current month by default.
    await pastDayTurn(120_000);
    const folder = await temporaryFolder("usage");
    after(() => removeFolder(folder));
    const settings = join(folder, "settings.yaml");
    await writeFile(
      settings,
      'pricing: { currency: { code: EUR, perUsd: "0.5" } }\nreportLabels: [cost-center]\nbudgetHeaders: true\n',
    );
    gateway = await startGateway(
      [
        provider("up", upstream.url, { models: [{ name: "priced", price }, { name: "free-of-price" }] }),
        secret("up-credentials", { apiKey: "sk" }),
        policy("all", {
          match: { models: ["priced", "free-of-price"] },
          allowedNamespaces: { from: "All" },
          routing: { targets: [{ provider: { name: "up" } }] },
        }),
        ...key("alice", clearOf("alice"), { team: "a" }),
        ...key("bob", clearOf("bob"), { team: "b", tags: ["batch", "night"] }).map((manifest) => ({
          ...manifest,
          metadata: { ...manifest.metadata, labels: { "cost-center": "4711", secret: "x" } },
        })),
        {
          kind: "Budget",
          metadata: { name: "team-b" },
          spec: { amount: "0.2", period: "Monthly", per: "User", scope: { teams: ["b"] }, contact: "#finops" },
        },
        ...key("reader", clearOf("reader"), { user: "alice@example.com", role: "readonly" }),
        ...key("boss", clearOf("boss"), { role: "admin" }),
        ...elsewhere,
      ],
      ["--settings", settings],
    );
    const call = async (name: string, model: string): Promise<void> => {
      const response = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${clearOf(name)}`, "content-type": "application/json" },
        body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }] }),
      });
      assert.equal(response.status, 200);
      await response.text();
    };
    for (const [name, model] of [
      ["alice", "priced"],
      ["alice", "priced"],
      ["alice", "free-of-price"],
      ["bob", "priced"],
      ["eve", "priced"],
    ] as const)
      await call(name, model);
    const counted = async (name: string, query: string, requests: number): Promise<boolean> =>
      ((await own(name, query)).body["data"] as Json[])[0]?.["requests"] === requests;
    await eventually(
      async () =>
        (await counted("boss", "scope=namespace&group_by=namespace", 4)) &&
        (await counted("eve", "group_by=namespace", 1)),
    );
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  async function own(name: string, query = ""): Promise<{ status: number; body: Json }> {
    const response = await fetch(`${gateway.url}/v1/sluice/usage?${query}`, {
      headers: { authorization: `Bearer ${clearOf(name)}` },
    });
    return { status: response.status, body: (await response.json()) as Json };
  }
  // 11 × 2000 + 7 × 10000 nano-USD per call.
  const cost = "0.000092";

  it("has tags and labels of keys as tags of a FOCUS dataset", async () => {
    const { code, stdout } = await sluice("cost-report", "--url", gateway.statusUrl, "--format", "focus");
    assert.equal(code, 0);
    const bob = stdout.split("\r\n").filter((line) => line.includes("/bob"));
    assert.equal(bob.length, 1);
    const tags = { "cost-center": "4711", "sluice:team": "b", "tag:batch": true, "tag:night": true };
    assert.ok(bob[0]?.includes(JSON.stringify(tags).replaceAll('"', '""')), bob[0]);
  });

  it("shows a key's holder its own usage, by model", async () => {
    const { status, body } = await own("alice");
    assert.equal(status, 200);
    assert.deepEqual(body["data"], [
      {
        model: "free-of-price",
        requests: 1,
        errors: 0,
        input_tokens: 11,
        cached_tokens: 0,
        cache_write_tokens: 0,
        output_tokens: 7,
        reasoning_tokens: 0,
        total_tokens: 18,
        images: 0,
        characters: 0,
        audio_seconds: 0,
        search_units: 0,
        estimated_requests: 0,
        unpriced_requests: 1,
        cost_eur: "0.00",
        cost_usd: "0.00",
      },
      {
        model: "priced",
        requests: 2,
        errors: 0,
        input_tokens: 22,
        cached_tokens: 0,
        cache_write_tokens: 0,
        output_tokens: 14,
        reasoning_tokens: 0,
        total_tokens: 36,
        images: 0,
        characters: 0,
        audio_seconds: 0,
        search_units: 0,
        estimated_requests: 0,
        unpriced_requests: 0,
        cost_eur: "0.000092",
        cost_usd: "0.000184",
      },
    ]);
  });

  it("is visible to another key of the same user, and to nobody else", async () => {
    assert.deepEqual((await own("reader")).body["data"], (await own("alice")).body["data"]);
    assert.deepEqual(
      ((await own("bob", "group_by=user")).body["data"] as Json[]).map((one) => [one["user"], one["requests"]]),
      [["bob@example.com", 1]],
    );
    const eve = (await own("eve", "group_by=namespace")).body["data"] as Json[];
    assert.deepEqual(
      eve.map((one) => [one["namespace"], one["requests"]]),
      [["other", 1]],
    );
  });

  it("shows the namespace's usage to roles with permission, and never another namespace's", async () => {
    const all = await own("boss", "scope=namespace&group_by=user");
    assert.deepEqual(
      (all.body["data"] as Json[]).map((one) => [one["user"], one["requests"]]),
      [
        ["alice@example.com", 3],
        ["bob@example.com", 1],
      ],
    );
    const refused = await own("alice", "scope=namespace");
    assert.deepEqual([refused.status, (refused.body["error"] as Json)["code"]], [403, "permission_denied"]);
  });

  const mistakes: [string, string][] = [
    ["period=0d", "period"],
    ["period=32d", "period"],
    ["period=soon", "period"],
    ["group_by=secret", "group_by"],
    ["scope=all", "scope"],
    ["group_by=day,day", "group_by"],
    ["time_zone=Nowhere/Land", "time_zone"],
  ];
  for (const [query, param] of mistakes) {
    it(`refuses ${query}`, async () => {
      const { status, body } = await own("alice", query);
      assert.deepEqual([status, (body["error"] as Json)["param"]], [400, param]);
    });
  }

  it("is reported by commands as a table, JSON and CSV, to the nano-USD", async () => {
    const report = (...args: string[]) => sluice("cost-report", "--url", gateway.statusUrl, ...args);
    const table = await report("--group-by", "user");
    assert.equal(table.code, 0, table.stderr);
    assert.match(table.stdout, /^USER +REQUESTS +ERRORS/);
    assert.match(
      table.stdout,
      new RegExp(`^bob@example\\.com +1 +0 +11 +0 +0 +7 +0 +18 +0 +0 +0 +0 +0 +0 +0\\.000046 +${cost}$`, "m"),
    );
    assert.match(table.stdout, /^total +5 +0 +55 +0 +0 +35 +0 +90 +0 +0 +0 +0 +0 +1 +0\.000184 +0\.000368$/m);
    assert.match(table.stdout, /not in the cost: 1 request of models without a price/);
    const json = JSON.parse((await report("--group-by", "namespace,model", "-o", "json")).stdout) as Json[];
    assert.equal(
      json.reduce((sum, one) => sum + Math.round(Number(one["cost_usd"]) * 1e9), 0),
      368_000,
    );
    const csv = await report("--group-by", "team", "-o", "csv");
    const columns = csv.stdout.split("\r\n")[0]?.split(",").slice(1);
    assert.deepEqual(columns, Object.keys(json[0] ?? {}).slice(2), "CSV and JSON have the same names");
    const [own0] = (await own("alice")).body["data"] as Json[];
    assert.deepEqual(columns, Object.keys(own0 ?? {}).slice(1), "and so has the API");
    assert.match(table.stdout.split("\n")[0] ?? "", new RegExp(`^USER +${columns?.join(" +").toUpperCase()}$`));
    assert.match(csv.stderr, /not in the cost: 1 request of models without a price/);
  });

  it("lists the top users", async () => {
    const top = await sluice(
      "top-users",
      "--url",
      gateway.statusUrl,
      "--metric",
      "tokens",
      "--limit",
      "1",
      "-o",
      "csv",
    );
    assert.deepEqual(top.stdout.trim().split("\r\n").slice(1), [
      "default,alice@example.com,a,3,0,33,0,0,21,0,54,0,0,0,0,0,1,0.000092,0.000184",
    ]);
    const table = await sluice("top-users", "--url", gateway.statusUrl, "--limit", "1");
    assert.match(table.stdout, /^total +5 .*0\.000368$/m, "the total is of everybody");
  });

  it("groups by tag and by the labels that the installation lists", async () => {
    const report = (by: string) => sluice("cost-report", "--url", gateway.statusUrl, "--group-by", by, "-o", "csv");
    const requests = ({ stdout }: { stdout: string }): string[] =>
      stdout
        .trim()
        .split("\r\n")
        .slice(1)
        .map((line) => line.split(",").slice(0, 2).join(" "));
    assert.deepEqual(requests(await report("tag")), [" 4", "batch 1", "night 1"]);
    assert.deepEqual(requests(await report("label:cost-center")), [" 4", "4711 1"]);
    assert.deepEqual(requests(await report("label:secret")), [" 5"]);
    const month = new Date().toISOString().slice(0, 7);
    assert.deepEqual(requests(await report("month")), [`${month} 5`]);
  });

  it("says what the ledger does not keep, and that one proxy's ledger is one proxy's", async () => {
    const { code, stdout } = await sluice("cost-report", "--url", gateway.statusUrl, "--from", "2024-01-01");
    assert.equal(code, 0);
    const kept = new Date(Date.now() - 62 * 86_400_000).toISOString().slice(0, 10);
    assert.match(stdout, new RegExp(`the ledger keeps nothing before ${kept}T`));
    assert.match(stdout, /this is the ledger of one proxy/);
    assert.doesNotMatch((await sluice("cost-report", "--url", gateway.statusUrl)).stdout, /keeps nothing before/);
  });

  it("adds up the ledgers that answer, and names the one that doesn't", async () => {
    const { code, stdout, stderr } = await sluice(
      "cost-report",
      "--url",
      "http://127.0.0.1:9",
      "--url",
      gateway.statusUrl,
    );
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^total +5 /m);
    assert.match(stdout, /warning: use is missing: no ledger at http:\/\/127\.0\.0\.1:9/);
  });

  it("can be exported row by row, and a user can be forgotten", async () => {
    const ledger = (...args: string[]) => sluice("ledger", ...args, "--url", gateway.statusUrl);
    const exported = await ledger("export", "-o", "jsonl");
    assert.equal(exported.code, 0, exported.stderr);
    const rows = exported.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Json);
    assert.deepEqual(rows.map((row) => [row["user"], row["key"], row["requests"]]).sort(), [
      ["alice@example.com", "default/alice", 1],
      ["alice@example.com", "default/alice", 2],
      ["bob@example.com", "default/bob", 1],
      ["eve@example.com", "other/eve", 1],
    ]);
    const csv = (await ledger("export")).stdout.split("\r\n");
    assert.equal(csv[0], Object.keys(rows[0] ?? {}).join(","));
    assert.equal(csv.length, 6);
    const manifests = join(gateway.folder, "manifests.yaml");
    const restricted = join(gateway.folder, "..", `${basename(gateway.folder)}.yaml`);
    const now = (await readFile(manifests, "utf8")).replace(/^( +)routing:/m, "$1access: { teams: [b] }\n$1routing:");
    await writeFile(restricted, now);
    const compared = await sluiceWith(
      { input: csv.join("\r\n") },
      ...["diff", manifests, restricted, "--usage", "-", "--by", "user", "-o", "json"],
    );
    await rm(restricted);
    const { usage } = JSON.parse(compared.stdout) as { usage: { calls: number; effects: Json[] } };
    assert.deepEqual(
      [usage.calls, usage.effects.map(({ effect, user, calls, code }) => [effect, user, calls, code])],
      [
        5,
        [
          ["refused", "alice@example.com", 3, "access_denied"],
          ["refused", "eve@example.com", 1, "access_denied"],
        ],
      ],
    );
    assert.equal((await ledger("forget", "--user", "nobody")).code, 1);
    const forgotten = await ledger("forget", "--user", "eve@example.com", "--as", "someone");
    assert.deepEqual([forgotten.stdout, forgotten.code], ["1 row of eve@example.com renamed to someone\n", 0]);
    const after = (await ledger("export")).stdout;
    assert.doesNotMatch(after, /eve@/);
    assert.match(after, /,other,someone,[^,]*,[^,]*,other\/erased,.*,0\.000092\r$/m);
  });

  it("shows callers what their budgets have left, in the body and in headers", async () => {
    const { body } = await own("bob");
    const budgets = body["budgets"] as Json[];
    const { resets_at: resets, ...rest } = budgets[0] as Json;
    assert.equal(budgets.length, 1);
    assert.match(String(resets), /^\d{4}-\d{2}-01T00:00:00\.000Z$/);
    assert.deepEqual(rest, {
      budget: "default/team-b",
      period: "Monthly",
      time_zone: "UTC",
      enforcement: "Hard",
      subject: "bob@example.com",
      contact: "#finops",
      used_percent: 0,
      amount_usd: "0.20",
      spent_usd: cost,
      left_usd: "0.199908",
      left_eur: "0.099954",
    });
    assert.deepEqual((await own("alice")).body["budgets"], []);
    const ask = (maxTokens: number) =>
      fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${clearOf("bob")}`, "content-type": "application/json" },
        body: JSON.stringify({
          model: "priced",
          max_tokens: maxTokens,
          messages: [{ role: "user", content: "Hi" }],
        }),
      });
    const answer = await ask(10);
    await answer.text();
    assert.equal(answer.status, 200);
    assert.deepEqual(
      [answer.headers.get("x-sluice-budget"), answer.headers.get("x-sluice-budget-left-usd")],
      ["default/team-b", "0.199908"],
    );
    assert.equal(answer.headers.get("x-sluice-budget-resets"), resets);
    const refused = await ask(30_000);
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get("x-sluice-budget-left-usd"), "0.199816");
    assert.match(
      await refused.text(),
      /The budget default\/team-b \(USD 0\.20, monthly\) has USD 0\.199816 left.*To get more, ask #finops\./,
    );
  });

  const words: [string, string[], RegExp][] = [
    ["a grouping that isn't one", ["cost-report", "--group-by", "colour"], /--group-by must be a list of/],
    ["a period that isn't one", ["cost-report", "--period", "soon"], /--period must be a time/],
    ["a day that no month has", ["cost-report", "--from", "2026-02-30"], /a day that exists/],
    ["a moment without its zone", ["cost-report", "--from", "2026-11-01T00:00:00"], /a moment with its zone/],
    [
      "a zone that isn't one",
      ["cost-report", "--time-zone", "Berlin/Nowhere"],
      /--time-zone must be an IANA time zone/,
    ],
    ["an export format", ["ledger", "export", "-o", "table"], /--output must be csv or jsonl/],
    ["forgetting nobody", ["ledger", "forget"], /name the user to forget/],
    ["an unknown part of ledger", ["ledger", "burn"], /takes export or forget/],
    ["a grouping twice", ["cost-report", "--group-by", "user,user"], /names user twice/],
    ["two spans", ["cost-report", "--period", "1d", "--from", "2027-01-01T00:00:00Z"], /not both/],
    ["a metric that isn't one", ["top-users", "--metric", "joy"], /cost, tokens or requests/],
    [
      "two places",
      ["cost-report", "--url", "http://127.0.0.1:9", "--system-namespace", "a"],
      /give --url, or --system-namespace and --kubeconfig, not both/,
    ],
    [
      "a proxy that isn't there",
      ["cost-report", "--url", "http://127.0.0.1:9"],
      /no ledger at http:\/\/127\.0\.0\.1:9/,
    ],
  ];
  for (const [name, args, expected] of words) {
    it(`says what is wrong with ${name}`, async () => {
      const done = await sluice(...args);
      assert.notEqual(done.code, 0);
      assert.match(done.stderr, expected);
    });
  }
});

describe("groups", () => {
  const row = (hour: string, costNanoUsd: number, key = "n/k"): LedgerRow =>
    ledgerRow({ hourMs: Date.parse(hour), role: "r", key, route: "p", provider: "q", costNanoUsd });
  const rows = [row("2027-01-31T22:00:00Z", 1), row("2027-01-31T23:00:00Z", 2), row("2027-02-01T00:00:00Z", 4)];
  const sums = (by: Parameters<typeof groupRows>[1], timeZone?: string) =>
    groupRows(rows, by, timeZone === undefined ? {} : { timeZone }).map((group) => [
      Object.values(group.by).join(" "),
      Number(group.sums.costNanoUsd),
    ]);

  for (const [timeZone, by, expected] of [
    [
      undefined,
      "month",
      [
        ["2027-01", 3],
        ["2027-02", 4],
      ],
    ],
    [
      "Europe/Berlin",
      "month",
      [
        ["2027-01", 1],
        ["2027-02", 6],
      ],
    ],
    ["America/New_York", "month", [["2027-01", 7]]],
    [
      "Europe/Berlin",
      "day",
      [
        ["2027-01-31", 1],
        ["2027-02-01", 6],
      ],
    ],
    [
      "Asia/Kolkata",
      "hour",
      [
        ["2027-02-01T03", 1],
        ["2027-02-01T04", 2],
        ["2027-02-01T05", 4],
      ],
    ],
  ] as const)
    it(`by ${by} in ${timeZone ?? "UTC"}`, () => assert.deepEqual(sums([by], timeZone), expected));

  it("days begin at midnight in the zone, whatever its clocks do", () => {
    assert.equal(new Date(dayStartMs("Europe/Berlin", "2027-03-28")).toISOString(), "2027-03-27T23:00:00.000Z");
    assert.equal(new Date(dayStartMs("Europe/Berlin", "2027-03-29")).toISOString(), "2027-03-28T22:00:00.000Z");
  });

  it("convert money exactly", () => {
    const euro = { code: "EUR", perUsdMillionths: 920_000 };
    assert.equal(inCurrency(1_000_000_000, euro), "0.92");
    assert.equal(inCurrency(1, euro), "0.000000001");
    assert.equal(inCurrency(9_007_199_254_740_991, { code: "USD", perUsdMillionths: 1_000_000 }), "9007199.254740991");
  });
});

describe("sums", () => {
  it("of money are exact", () => {
    const rows: [number, string][] = [
      [0, "0.00"],
      [1, "0.000000001"],
      [10_000_000, "0.01"],
      [1_500_000_000, "1.50"],
      [1_234_567_890, "1.23456789"],
      [9_007_199_254_740_991, "9007199.254740991"],
    ];
    for (const [nano, text] of rows) assert.equal(usd(nano), text);
    fc.assert(
      fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (nano) =>
        assert.equal(
          BigInt(usd(nano).split(".")[0] ?? "") * 1_000_000_000n +
            BigInt((usd(nano).split(".")[1] ?? "").padEnd(9, "0")),
          BigInt(nano),
        ),
      ),
    );
  });

  it("are the same however rows are grouped", () => {
    const row = fc
      .record({
        hour: fc.nat(48),
        user: fc.constantFrom("a", "b"),
        model: fc.constantFrom("x", "y"),
        cost: fc.oneof(fc.nat(1_000_000), fc.maxSafeNat()),
      })
      .map(
        ({ hour, user, model, cost }): LedgerRow => ({
          hourMs: hour * 3_600_000,
          namespace: "n",
          user,
          team: "",
          role: "r",
          key: "k",
          route: "p",
          model,
          provider: "q",
          requests: 1,
          errors: 0,
          promptTokens: 1,
          cachedTokens: 0,
          cacheWriteTokens: 0,
          completionTokens: 1,
          reasoningTokens: 0,
          costNanoUsd: cost,
          estimated: 0,
          unpriced: 0,
        }),
      );
    fc.assert(
      fc.property(fc.array(row), fc.subarray(["user", "model", "day", "hour"] as const), (rows, groupBy) => {
        const groups = groupRows(rows, groupBy);
        assert.equal(
          groups.reduce((sum, one) => sum + one.sums.costNanoUsd, 0n),
          rows.reduce((sum, one) => sum + BigInt(one.costNanoUsd), 0n),
        );
      }),
    );
  });
});
