/** The usage ledger as key holders and report commands see it. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import type { LedgerRow } from "../../proxy/config/ledger.ts";
import { groupRows, usd } from "../../proxy/config/usage-report.ts";
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
import { sluice } from "../harness/sluice.ts";
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
    gateway = await startGateway([
      provider("up", upstream.url, { models: [{ name: "priced", price }, { name: "free-of-price" }] }),
      secret("up-credentials", { apiKey: "sk" }),
      policy("all", {
        match: { models: ["priced", "free-of-price"] },
        allowedNamespaces: { from: "All" },
        routing: { targets: [{ provider: { name: "up" } }] },
      }),
      ...key("alice", clearOf("alice"), { team: "a" }),
      ...key("bob", clearOf("bob"), { team: "b" }),
      ...key("reader", clearOf("reader"), { user: "alice@example.com", role: "readonly" }),
      ...key("boss", clearOf("boss"), { role: "admin" }),
      ...elsewhere,
    ]);
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
        output_tokens: 7,
        total_tokens: 18,
        estimated_requests: 0,
        cost_usd: "0.00",
        unpriced_requests: 1,
      },
      {
        model: "priced",
        requests: 2,
        errors: 0,
        input_tokens: 22,
        cached_tokens: 0,
        output_tokens: 14,
        total_tokens: 36,
        estimated_requests: 0,
        cost_usd: "0.000184",
        unpriced_requests: 0,
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
    assert.match(table.stdout, new RegExp(`^bob@example\\.com +1 +0 +11 +0 +7 +${cost}$`, "m"));
    assert.match(table.stdout, /^total +5 +0 +55 +0 +35 +0\.000368$/m);
    assert.match(table.stdout, /1 requests of models without a price are not in the cost/);
    const json = JSON.parse((await report("--group-by", "namespace,model", "-o", "json")).stdout) as Json[];
    assert.equal(
      json.reduce((sum, one) => sum + Number(one["costNanoUsd"]), 0),
      368_000,
    );
    const csv = await report("--group-by", "team", "-o", "csv");
    assert.equal(csv.stdout.split("\r\n")[0], "team,requests,errors,input_tokens,cached_tokens,output_tokens,cost_usd");
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
    assert.deepEqual(top.stdout.trim().split("\r\n").slice(1), ["default,alice@example.com,a,3,0,33,0,21,0.000184"]);
  });

  const words: [string, string[], RegExp][] = [
    ["a grouping that isn't one", ["cost-report", "--group-by", "colour"], /--group-by is a list of/],
    ["a period that isn't one", ["cost-report", "--period", "soon"], /--period must be a time/],
    ["a day that no month has", ["cost-report", "--from", "2026-02-30"], /a day that exists/],
    ["a moment without its zone", ["cost-report", "--from", "2026-11-01T00:00:00"], /a moment with its zone/],
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
        cost: fc.nat(1_000_000),
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
          groups.reduce((sum, one) => sum + one.sums.costNanoUsd, 0),
          rows.reduce((sum, one) => sum + one.costNanoUsd, 0),
        );
      }),
    );
  });
});
