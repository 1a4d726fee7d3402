/** Prices of self-hosted servers: calls are charged by the time that they take. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
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
import { json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const alice = "slc_compute_alice_00001";
/** 1 USD for a second, and a millionth of that per millisecond and call. */
const compute = { perGPUHour: "900", gpus: 8, callsAtOnce: 2 };
const nanoPerMs = 1_000_000;

describe("a price by GPU hour", () => {
  let servers: Upstream;
  let gateway: TestGateway;
  const manifests = (spec: Record<string, unknown> = {}, more: Manifest[] = []): Manifest[] => [
    provider("gpus", servers.url, {
      models: [{ name: "m", price: { inputPerMillion: "0", outputPerMillion: "0", compute } }],
      ...spec,
    }),
    secret("gpus-credentials", { apiKey: "sk-1" }),
    policy("all", { match: { models: ["m"] }, routing: { targets: [{ provider: { name: "gpus" } }] } }),
    ...key("alice", alice),
    ...more,
  ];
  const ask = (path: string, body: object): Promise<Response> =>
    fetch(`${gateway.url}/v1/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "m", ...body }),
    });
  const chat = (more: object = {}): Promise<Response> =>
    ask("chat/completions", { messages: [{ role: "user", content: "Hi" }], ...more });
  /** Cost and duration of the last call, once it is logged. */
  async function lastCall(): Promise<{ cost: number; durationMs: number }> {
    await gateway.status();
    const line = gateway.logs.findLast((one) => "cost_nano_usd" in one) ?? {};
    return { cost: Number(line["cost_nano_usd"]), durationMs: Number(line["duration_ms"]) };
  }

  before(async () => {
    servers = await startUpstream(openai);
    gateway = await startGateway(manifests());
  });
  after(async () => {
    await gateway.close();
    await servers.close();
  });

  for (const [what, path, body] of [
    ["a whole answer", "chat/completions", { messages: [{ role: "user", content: "Hi" }] }],
    ["a stream", "chat/completions", { messages: [{ role: "user", content: "Hi" }], stream: true }],
    ["embeddings", "embeddings", { input: "Hi" }],
  ] as const)
    it(`charges ${what} for its time`, async () => {
      const answer = await ask(path, body);
      assert.equal(answer.status, 200);
      await answer.text();
      const { cost, durationMs } = await lastCall();
      assert.ok(cost > 0 && cost % nanoPerMs === 0, `${cost}`);
      assert.ok(cost <= Math.ceil(durationMs + 1) * nanoPerMs, `${cost} for ${durationMs} ms`);
    });

  it("charges an answer that took longer more", async () => {
    await chat();
    const quick = await lastCall();
    servers.answer(async (request, response) => {
      const until = performance.now() + Math.min(2_000, quick.durationMs * 3 + 50);
      while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
      await openai(request, response);
    });
    await chat();
    servers.answer(openai);
    assert.ok((await lastCall()).cost > quick.cost);
  });

  it("charges a refused call nothing", async () => {
    servers.answer((_request, response) => json(response, 400, { error: { message: "no" } }));
    const before = gateway.logs.length;
    assert.equal((await chat()).status, 400);
    servers.answer(openai);
    await gateway.status();
    const costs = gateway.logs
      .slice(before)
      .flatMap((line) => ("cost_nano_usd" in line ? [line["cost_nano_usd"]] : []));
    assert.ok(
      costs.every((cost) => cost === 0 || cost === null),
      JSON.stringify(costs),
    );
  });

  it("is reserved by hard budgets up to the time limit, and booked by what was used", async () => {
    const budget: Manifest = {
      kind: "Budget",
      metadata: { name: "hard" },
      spec: { amount: "5", period: "Total", enforcement: "Hard" },
    };
    await gateway.apply(manifests({}, [budget]));
    const refused = await chat();
    assert.equal(refused.status, 429, await refused.text());
    await gateway.apply(manifests({ timeouts: { total: "4s" } }, [budget]));
    assert.equal((await chat()).status, 200);
    await eventually(async () =>
      /"spentNanoUsd":[1-9]/.test(await (await fetch(`${gateway.statusUrl}/budgets`)).text()),
    );
    assert.equal((await chat()).status, 200, "the rest of the reservation is free again");
  });
});
