import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { type Answer, json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001";

describe("a provider whose health check fails", () => {
  let first: Upstream;
  let second: Upstream;
  let gateway: TestGateway;
  const well: Answer = (request, response) =>
    request.method === "GET" ? json(response, 200, { data: [] }) : openai(request, response);
  const ill: Answer = (request, response) =>
    request.method === "GET" ? json(response, 503, {}) : openai(request, response);
  const providerOf = async (name: string): Promise<Record<string, unknown> | undefined> => {
    const { providers } = (await gateway.status()) as { providers: Record<string, unknown>[] };
    return providers.find((provider) => provider["id"] === `default/${name}`);
  };
  const used = async (): Promise<string | null> => {
    const reply = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] }),
    });
    await reply.text();
    return reply.headers.get("x-provider-used");
  };

  before(async () => {
    first = await startUpstream(well);
    second = await startUpstream(well);
    gateway = await startGateway([
      provider("first", first.url, { healthCheck: { path: "/models", interval: "1s", failureThreshold: 1 } }),
      secret("first-credentials", { apiKey: "sk-first" }),
      provider("second", second.url),
      secret("second-credentials", { apiKey: "sk-second" }),
      policy("chat", {
        match: { models: ["gpt-4o"] },
        routing: { targets: [{ provider: { name: "first" } }, { provider: { name: "second" }, priority: 2 }] },
      }),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway.close();
    await first.close();
    await second.close();
  });

  it("is probed below its base URL, with its credentials", async () => {
    await eventually(async () => (await providerOf("first"))?.["healthy"] === true);
    const asked = first.requests.find((request) => request.method === "GET");
    assert.deepEqual([asked?.path, asked?.headers.authorization], ["/v1/models", "Bearer sk-first"]);
    assert.equal(await used(), "first");
    assert.match(await gateway.metrics(), /ai_gateway_provider_healthy\{provider="default\/first"\} 1/);
  });

  it("is called last, and is reported in metrics, status and log", async () => {
    first.answer(ill);
    await eventually(async () => (await providerOf("first"))?.["healthy"] === false);
    assert.equal((await providerOf("first"))?.["reason"], "status 503 instead of 200");
    assert.equal(await used(), "second");
    assert.match(await gateway.metrics(), /ai_gateway_provider_healthy\{provider="default\/first"\} 0/);
    assert.ok(
      gateway.logs.some(
        (line) =>
          line["msg"] === "health check fails; the provider is called last" && line["provider"] === "default/first",
      ),
    );
    second.answer((_request, response) => json(response, 500, {}));
    assert.equal(await used(), "first", "where nothing else is left");
    second.answer(well);
  });

  it("is called first again when it recovers", async () => {
    first.answer(well);
    await eventually(async () => (await used()) === "first");
  });

  it("reports nothing about a provider that was neither checked nor called", async () => {
    await gateway.apply([provider("third", second.url), secret("third-credentials", { apiKey: "sk-third" })]);
    assert.deepEqual(
      [
        (await providerOf("third"))?.["healthy"],
        (await gateway.metrics()).includes('healthy{provider="default/third"}'),
      ],
      [null, false],
    );
  });
});
