/** Parameters of one target: what it gets, in every format, and what budgets and the cache make of them. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { key, type Manifest, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const alice = "slc_parameters_alice_0001";
const formats = {
  chat: ["/v1/chat/completions", { messages: [{ role: "user", content: "Hi" }] }, "max_tokens"],
  responses: ["/v1/responses", { input: "Hi" }, "max_output_tokens"],
  messages: ["/v1/messages", { messages: [{ role: "user", content: "Hi" }] }, "max_tokens"],
} as const;
type Format = keyof typeof formats;

describe("a target's parameters", () => {
  let first: Upstream;
  let second: Upstream;
  let gateway: TestGateway;

  const manifests = (
    parameters: [first?: Record<string, unknown>, second?: Record<string, unknown>],
    spec: Record<string, unknown> = {},
    more: Manifest[] = [],
  ): Manifest[] => {
    const price = { inputPerMillion: "0", outputPerMillion: "1000" };
    const model = { models: [{ name: "m", price }], circuitBreaker: { failureThreshold: 1000 } };
    return [
      provider("first", first.url, { ...model, options: { responses: "Native" } }),
      provider("second", second.url, { ...model, options: { responses: "Translate" } }),
      ...["first", "second"].map((name) => secret(`${name}-credentials`, { apiKey: "sk-1" })),
      policy("all", {
        match: { models: ["m"] },
        routing: {
          targets: ["first", "second"].map((name, index) => ({
            provider: { name },
            priority: index + 1,
            ...(parameters[index] === undefined ? {} : { parameters: parameters[index] }),
          })),
        },
        ...spec,
      }),
      ...key("alice", alice),
      ...more,
    ];
  };
  const call = (format: Format, body: Record<string, unknown> = {}): Promise<Response> => {
    const [path, base, cap] = formats[format];
    const { cap: most = 50, ...rest } = body;
    return fetch(gateway.url + path, {
      method: "POST",
      headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "m", [cap]: most, ...base, ...rest }),
    });
  };

  before(async () => {
    first = await startUpstream(openai);
    second = await startUpstream(openai);
    gateway = await startGateway(manifests([]));
  });
  beforeEach(() => {
    for (const upstream of [first, second]) upstream.requests.length = 0;
    first.answer((_request, response) => json(response, 503, { error: { message: "busy" } }));
  });
  after(async () => {
    await gateway.close();
    for (const upstream of [first, second]) await upstream.close();
  });

  for (const format of Object.keys(formats) as Format[])
    it(`replace the caller's and the policy's at that target alone: ${format}`, async () => {
      await gateway.apply(
        manifests(
          [
            { temperature: 0.3, max_tokens: 7 },
            { reasoning_effort: "low", chat_template_kwargs: { format } },
          ],
          { request: { defaults: { top_p: 0.5 }, overrides: { temperature: 0.2 } } },
        ),
      );
      assert.equal((await call(format, { temperature: 0.1 })).status, 200);
      const sent = [first, second].map((upstream) => upstream.requests[0]?.json ?? {});
      const cap = ({ max_tokens: a, max_completion_tokens: b, max_output_tokens: c }: Record<string, unknown>) =>
        [a, b, c].filter((value) => value !== undefined && value !== null);
      assert.deepEqual(
        sent.map(({ temperature }) => temperature),
        [0.3, 0.2],
      );
      assert.deepEqual(
        sent.map(({ top_p }) => top_p),
        [0.5, 0.5],
      );
      assert.deepEqual(sent.map(cap), [[7], [50]]);
      assert.deepEqual(
        sent.map(({ reasoning_effort: effort }) => effort),
        [undefined, "low"],
      );
      assert.deepEqual(sent[1]?.["chat_template_kwargs"], { format });
    });

  it("make no difference to embeddings", async () => {
    await gateway.apply(manifests([{ temperature: 0.3 }]));
    await fetch(`${gateway.url}/v1/embeddings`, {
      method: "POST",
      headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "m", input: "Hi" }),
    });
    assert.deepEqual(Object.keys(first.requests[0]?.json ?? {}).sort(), ["input", "model"]);
  });

  it("are what a budget reserves by", async () => {
    const spec = { amount: "0.10", period: "Total", enforcement: "Hard" };
    const hard: Manifest = { kind: "Budget", metadata: { name: "hard" }, spec };
    // 50 tokens cost $0.05, 200 cost $0.20.
    await gateway.apply(manifests([{ max_tokens: 200 }], {}, [hard]));
    assert.equal((await call("chat")).status, 429);
    await gateway.apply(manifests([{ max_tokens: 20 }, { max_completion_tokens: 10 }], {}, [hard]));
    assert.equal((await call("chat", { cap: 5_000 })).status, 200);
  });

  it("leave a price to the caller where only one target sets it", async () => {
    const spec = { amount: "100", period: "Total", enforcement: "Hard" };
    const hard: Manifest = { kind: "Budget", metadata: { name: "hard" }, spec };
    await gateway.apply(manifests([{ service_tier: "flex" }], {}, [hard]));
    assert.equal((await call("chat", { service_tier: "priority" })).status, 400);
    await gateway.apply(manifests([{ service_tier: "flex" }, { service_tier: "default" }], {}, [hard]));
    assert.equal((await call("chat", { service_tier: "priority" })).status, 200);
  });

  it("are part of what a cached answer depends on", async () => {
    const cache = { ttl: "1h", when: { temperatureAtMost: "0.5" } };
    const asked = async (): Promise<string | null> =>
      (await call("chat", { temperature: 0 })).headers.get("x-sluice-cache");
    await gateway.apply(manifests([{ top_p: 0.1 }], { cache }));
    assert.deepEqual([await asked(), await asked()], ["miss", "hit"]);
    await gateway.apply(manifests([{ top_p: 0.2 }], { cache }));
    assert.equal(await asked(), "miss");
    await gateway.apply(manifests([{ temperature: 0.9 }], { cache }));
    assert.equal(await asked(), "bypass");
  });

  it("can't be changed by a member that differs in case", async () => {
    await gateway.apply(manifests([{ repetition_penalty: 1.1 }]));
    assert.equal((await call("chat", { Repetition_Penalty: 2 })).status, 400);
  });
});
