/** Hard budgets with retries, fallbacks, targets outside their scope, free models and impossible usage. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  answered,
  type BilledAttempt,
  manifestPrice,
  type Script,
  startBilling,
  tokenPrices,
} from "../harness/billing-upstream.ts";
import { pastDayTurn } from "../harness/day-turn.ts";
import { eventually, key, type Manifest, policy, provider, secret, startGateway } from "../harness/gateway.ts";

await pastDayTurn(120_000);
const clear = "slc_alice_key_0001_0123456789";

/** Generates the whole answer, but breaks before any of it arrives. */
const broken: Script = async (answer) => {
  answer.charge(answer.words);
  answer.response.destroy();
};

const reports =
  (usage: Record<string, unknown>): Script =>
  async (answer) => {
    const body = JSON.parse(answer.whole) as Record<string, unknown>;
    answer.response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ ...body, usage }));
  };

/** JSON as some servers write it, unlike JSON.stringify. */
const reportsText =
  (usage: string): Script =>
  async (answer) => {
    const body = answer.whole.replace(/"usage":\{[^}]*\}/, `"usage":${usage}`);
    answer.response.writeHead(200, { "content-type": "application/json" }).end(body);
  };

const biller = await startBilling(
  {
    broken,
    "broken once": (answer, attempt) => (attempt === 1 ? broken : answered)(answer, attempt),
    "a billion": reports({ prompt_tokens: 10, completion_tokens: 1e9, total_tokens: 1e9 + 10 }),
    "eleven times": reports({ prompt_tokens: 10, completion_tokens: 11 * 1_500, total_tokens: 11 * 1_500 + 10 }),
    negative: reports({ prompt_tokens: 10, completion_tokens: -7, total_tokens: 3 }),
    enormous: reportsText('{"prompt_tokens":10,"completion_tokens":1e300,"total_tokens":1e300}'),
    "a text": reports({ prompt_tokens: "10", completion_tokens: "abc", total_tokens: 3 }),
    nothing: reports({}),
  },
  () => 40,
);
after(() => biller.upstream.close());

const budget = (spec: Record<string, unknown>): Manifest => ({
  kind: "Budget",
  metadata: { name: "hard" },
  spec: { period: "Total", enforcement: "Hard", ...spec },
});

const free = { inputPerMillion: "0", outputPerMillion: "0" };
const models = [
  { name: "gpt-4o", maxOutputTokens: 4_096, price: manifestPrice },
  { name: "free", maxOutputTokens: 4_096, price: free },
];

async function gateway(
  budgets: Manifest[],
  { attempts = 1, targets = ["a", "b"], freeAt = "" }: { attempts?: number; targets?: string[]; freeAt?: string } = {},
) {
  const spec = (name: string): Record<string, unknown> => ({
    models: name === freeAt ? models.map((model) => ({ ...model, price: free })) : models,
    circuitBreaker: { failureThreshold: 1_000 },
    retry: { attempts, initialDelay: "1ms", maxDelay: "5ms" },
  });
  const started = await startGateway([
    ...["a", "b"].flatMap((name) => [
      provider(name, biller.upstream.url, spec(name)),
      secret(`${name}-credentials`, { apiKey: `sk-${name}` }),
    ]),
    policy("chat", {
      match: { models: ["gpt-4o", "free"] },
      routing: { targets: targets.map((name) => ({ provider: { name } })) },
    }),
    ...key("alice", clear),
    ...budgets,
  ]);
  after(() => started.close());
  return started;
}

let ids = 0;
async function call(url: string, fault: string, model = "gpt-4o") {
  const id = `b${ids++}`;
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${clear}`, "content-type": "application/json", "x-request-id": id },
    body: JSON.stringify({
      model,
      user: `${fault}:${id}`,
      max_tokens: 1_000,
      messages: [{ role: "user", content: "Hi" }],
    }),
  });
  const body = (await response.json()) as { error?: { code: string; message: string } };
  return { id, status: response.status, body, used: response.headers.get("x-provider-used") };
}

const billOf = (from: number): number =>
  biller.attempts.slice(from).reduce((sum: number, { nanoUsd }: BilledAttempt) => sum + nanoUsd, 0);

/** The highest cost of one of these calls: one token per byte of its body, plus its cap. */
const maxUsd = (calls: number): string =>
  ((calls * (400 * tokenPrices.input + 1_000 * tokenPrices.output)) / 1e9).toFixed(6);

test("a budget with room for one attempt allows no retry or fallback", async () => {
  const from = biller.attempts.length;
  const { url } = await gateway([budget({ amount: maxUsd(1) })], { attempts: 3 });
  const first = await call(url, "broken");
  assert.notEqual(first.status, 429);
  assert.equal(biller.attempts.length - from, 1, "the second attempt could have passed the amount");
  assert.ok(billOf(from) <= Number(maxUsd(1)) * 1e9);
});

test("attempts that the reservation covers are made and charged, and the log has each charge", async () => {
  const from = biller.attempts.length;
  const running = await gateway([budget({ amount: maxUsd(10) })], { attempts: 2 });
  const { id, status } = await call(running.url, "broken once");
  assert.equal(status, 200);
  const line = await eventually(() => running.logs.find((log) => log["request_id"] === id && log["msg"] === "call"));
  const attempts = line["attempts"] as { outcome: string; costNanoUsd: number; usage: { estimated: boolean } }[];
  assert.deepEqual(
    attempts.map(({ outcome, usage }) => [outcome, usage.estimated]),
    [
      ["Unavailable", true],
      ["ok", false],
    ],
  );
  assert.equal(attempts[1]?.costNanoUsd, biller.attempts[from + 1]?.nanoUsd);
  assert.equal(line["cost_nano_usd"], (attempts[0]?.costNanoUsd ?? 0) + (attempts[1]?.costNanoUsd ?? 0));
});

test("a hard budget is never billed beyond its amount, whatever breaks", async () => {
  const from = biller.attempts.length;
  const amount = maxUsd(4);
  const { url } = await gateway([budget({ amount })], { attempts: 2 });
  for (let round = 0; round < 40; round++)
    await Promise.all(["broken", "broken once", "fine"].map((fault) => call(url, fault)));
  assert.equal((await call(url, "fine")).status, 429);
  assert.ok(billOf(from) <= Number(amount) * 1e9, `billed ${billOf(from)} of ${amount}`);
});

test("a free model passes a budget that is used up", async () => {
  const { url } = await gateway([budget({ amount: "0.000001" })]);
  assert.equal((await call(url, "fine")).status, 429);
  assert.equal((await call(url, "fine", "free")).status, 200);
});

for (const [what, options, amount] of [
  ["a budget of one provider", { scope: { providers: ["a"] } }, "b"],
  ["a budget with a target that costs nothing", {}, "b"],
] as const) {
  test(`${what} that is used up moves the call to the other target`, async () => {
    const { url } = await gateway([budget({ amount: "0.000001", ...options })], {
      freeAt: "scope" in options ? "" : amount,
    });
    const { status, used } = await call(url, "fine");
    assert.equal(status, 200);
    assert.match(used ?? "", /b$/);
  });
}

test("a budget of one provider refuses only if no other target is left", async () => {
  const { url } = await gateway([budget({ amount: "0.000001", scope: { providers: ["a"] } })], {
    targets: ["a"],
  });
  const { status, body } = await call(url, "fine");
  assert.equal(status, 429);
  assert.equal(body.error?.code, "budget_exceeded");
});

for (const fault of ["a billion", "eleven times", "negative", "enormous", "a text"]) {
  test(`a usage that reports ${fault} is estimated instead, and counted`, async () => {
    const running = await gateway([budget({ amount: "10" })]);
    const { id, status } = await call(running.url, fault);
    assert.equal(status, 200);
    const line = await eventually(() => running.logs.find((log) => log["request_id"] === id && log["msg"] === "call"));
    assert.equal(line["estimated"], true);
    const cost = Number(line["cost_nano_usd"]);
    assert.ok(cost > 0 && cost <= Number(maxUsd(1)) * 1e9, `charged ${cost}`);
    assert.match(
      await running.metrics(),
      /ai_gateway_implausible_usage_total\{provider="default\/a",model="gpt-4o"\} 1/,
    );
  });
}

test("missing usage is estimated, and is not counted as implausible", async () => {
  const running = await gateway([budget({ amount: "10" })]);
  await call(running.url, "nothing");
  await eventually(() => running.logs.some((log) => log["estimated"] === true));
  assert.doesNotMatch(await running.metrics(), /ai_gateway_implausible_usage_total\{/);
});
