import assert from "node:assert/strict";
import { after, test } from "node:test";
import { periodAt } from "../../proxy/config/periods.ts";
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
import { json, startUpstream } from "../harness/upstream.ts";

// The budgets in this file are for the current day.
await pastDayTurn(30_000);
const upstream = await startUpstream();
after(() => upstream.close());
const clear = "slc_alice_key_0001_0123456789";
const otherClear = "slc_bob_key_0001_0123456789";
/** nano-USD per token. */
const inputPrice = 2_500;
const outputPrice = 10_000;

const price = { inputPerMillion: "2.5", outputPerMillion: "10" };
const priced = { models: [{ name: "gpt-4o", maxOutputTokens: 1_000, price }] };

const budget = (name: string, spec: Record<string, unknown>): Manifest => ({
  kind: "Budget",
  metadata: { name },
  spec: { period: "Daily", ...spec },
});

async function gateway(
  budgets: Manifest[],
  providerSpec: Record<string, unknown> = priced,
  flags: string[] = [],
): Promise<TestGateway> {
  const started = await startGateway(
    [
      provider("up", upstream.url, providerSpec),
      secret("up-credentials", { apiKey: "sk-upstream" }),
      policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      ...key("alice", clear, { team: "red", tags: ["batch"] }),
      ...key("bob", otherClear, { team: "blue", role: "admin" }),
      ...budgets,
    ],
    flags,
  );
  after(() => started.close());
  return started;
}

const call = (url: string, as = clear, body: Record<string, unknown> = { max_tokens: 100 }): Promise<Response> =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${as}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }], ...body }),
  });

/** Cost of the scripted answer: 11 input and 7 output tokens. */
const callCost = 11 * inputPrice + 7 * outputPrice;

test("a hard budget refuses what could exceed it, and says which, how much is left and when it resets", async () => {
  const { url } = await gateway([budget("daily", { amount: "0.00135" })]);
  assert.equal((await call(url)).status, 200);
  assert.equal((await call(url)).status, 200);
  const refused = await call(url);
  assert.equal(refused.status, 429);
  const { error } = (await refused.json()) as { error: Record<string, string> };
  assert.equal(error["code"], "budget_exceeded");
  assert.equal(error["type"], "insufficient_quota");
  const resetsAt = new Date(periodAt("Daily", "UTC", Date.now()).endMs ?? 0).toISOString();
  assert.match(
    error["message"] ?? "",
    new RegExp(
      `The budget default/daily \\(USD 0\\.001350, daily\\) has USD 0\\.00\\d+ left.*resets at ${resetsAt.replaceAll(".", "\\.")}`,
    ),
  );
  assert.equal(refused.headers.get("x-should-retry"), "false");
  assert.equal((await call(url, clear, { max_tokens: 1 })).status, 200, "a smaller call still fits");
});

test("the charge matches the provider's report to the nano-USD", async () => {
  const started = await gateway([
    budget("daily", { amount: "10", enforcement: "Soft" }),
    budget("hard", { amount: "10" }),
  ]);
  for (let at = 0; at < 5; at++) await (await call(started.url)).text();
  const { startMs } = periodAt("Daily", "UTC", Date.now());
  for (const id of ["default/daily", "default/hard"]) {
    const [reading] = await eventually(async () => {
      const all = await started.state.store.readBudget(id, startMs);
      return all[0]?.spent === 5 * callCost ? all : null;
    });
    assert.equal(reading?.subject, "");
  }
  const rows = await eventually(async () => {
    const all = await started.state.store.readLedger(0, Number.MAX_SAFE_INTEGER);
    return all.length > 0 ? all : null;
  });
  assert.deepEqual(
    rows.map(({ requests, costNanoUsd, user, provider: by, promptTokens, completionTokens }) => ({
      requests,
      costNanoUsd,
      user,
      by,
      promptTokens,
      completionTokens,
    })),
    [
      {
        requests: 5,
        costNanoUsd: 5 * callCost,
        user: "alice@example.com",
        by: "default/up",
        promptTokens: 55,
        completionTokens: 35,
      },
    ],
  );
});

for (const [name, scope, alice, bob] of [
  ["a user", { users: ["alice@example.com"] }, 429, 200],
  ["a team", { teams: ["blue"] }, 200, 429],
  ["a role", { roles: ["admin"] }, 200, 429],
  ["a tag", { tags: ["batch"] }, 429, 200],
  ["a model that nobody calls", { models: ["gpt-5"] }, 200, 200],
  ["a model", { models: ["gpt-4o"] }, 429, 429],
  ["models by a wildcard", { models: ["gpt-4*"] }, 429, 429],
  ["other models by a wildcard", { models: ["*-mini"] }, 200, 200],
  ["a provider", { providers: ["up"] }, 429, 429],
  ["a provider that nobody calls", { providers: ["other"] }, 200, 200],
] as const) {
  test(`a budget for ${name} covers the right callers`, async () => {
    const { url } = await gateway([budget("none", { amount: "0", scope })]);
    assert.deepEqual([(await call(url)).status, (await call(url, otherClear)).status], [alice, bob]);
  });
}

test("a budget per user counts each user separately", async () => {
  const { url } = await gateway([budget("each", { amount: "0.0012", per: "User" })]);
  assert.equal((await call(url)).status, 200);
  assert.equal((await call(url)).status, 429);
  assert.equal((await call(url, otherClear)).status, 200);
});

test("a call without a known price is refused under a hard budget", async () => {
  const started = await startGateway([
    provider("up", upstream.url, { models: [{ name: "house-model" }] }),
    secret("up-credentials", { apiKey: "sk-upstream" }),
    policy("chat", { match: { models: ["house-model"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
    ...key("alice", clear),
    budget("daily", { amount: "10" }),
  ]);
  after(() => started.close());
  const refused = await call(started.url, clear, { model: "house-model" });
  assert.equal(refused.status, 403);
  assert.equal(((await refused.json()) as { error: { code: string } }).error.code, "price_unknown");
});

test("a failed call costs nothing and releases its reservation", async () => {
  const { url } = await gateway([budget("daily", { amount: "0.0012" })]);
  upstream.answer((_request, response) => json(response, 500, { error: { message: "no" } }));
  for (let at = 0; at < 3; at++) assert.equal((await call(url)).status, 502);
  upstream.answer((request, response) =>
    json(response, 200, {
      id: "1",
      object: "chat.completion",
      created: 1,
      model: request.json["model"],
      choices: [],
      usage: { prompt_tokens: 11, completion_tokens: 7 },
    }),
  );
  assert.equal((await call(url)).status, 200);
});

test("a hard budget caps the answer if neither caller nor model does", async () => {
  const { url } = await gateway([budget("daily", { amount: "10" })], { models: [{ name: "gpt-4o", price }] });
  await (await call(url, clear, {})).text();
  assert.equal(upstream.requests.at(-1)?.json["max_completion_tokens"], 16_384);
  await (await call(url, clear, { max_tokens: 5 })).text();
  assert.equal(upstream.requests.at(-1)?.json["max_completion_tokens"], undefined);
});

test("spending survives a restart if there is a state file", async () => {
  const file = `/tmp/sluice-state-${process.pid}-${Date.now()}.jsonl`;
  const first = await gateway([budget("daily", { amount: "0.0012" })], priced, ["--state-file", file]);
  assert.equal((await call(first.url)).status, 200);
  await first.close();
  const second = await gateway([budget("daily", { amount: "0.0012" })], priced, ["--state-file", file]);
  assert.equal((await call(second.url)).status, 429);
});

test("above a share of the budget, only a share of the calls pass", async () => {
  const { url } = await gateway([
    budget("slow", { amount: "0.01", enforcement: "Soft", throttle: { atPercent: 1, passPercent: 0 } }),
  ]);
  assert.equal((await call(url)).status, 200);
  const refused = await eventually(async () => {
    const answer = await call(url);
    return answer.status === 429 ? answer : null;
  });
  const { error } = (await refused.json()) as { error: Record<string, string> };
  assert.equal(error["code"], "rate_limit_exceeded");
  assert.match(error["message"] ?? "", /The budget default\/slow is nearly used up, so only 0 % of the calls pass/);
  assert.equal(refused.headers.get("retry-after"), "5");
});

test("a shadow budget refuses and delays no call, but counts", async () => {
  const started = await gateway([
    budget("shadow", { amount: "0", enforcement: "Shadow", throttle: { atPercent: 1, passPercent: 0 } }),
  ]);
  for (let at = 0; at < 3; at++) assert.equal((await call(started.url)).status, 200);
  const { startMs } = periodAt("Daily", "UTC", Date.now());
  await eventually(
    async () => (await started.state.store.readBudget("default/shadow", startMs))[0]?.spent === 3 * callCost,
  );
});
