/** Models that an LLMProvider takes on from the provider's own list: called, listed, priced, and for whom. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { parseProxyStatus } from "../../operator/cluster/proxy-status.ts";
import { discoveryCondition } from "../../operator/compile/discovery.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { providers } from "../../proxy/providers/registry.generated.ts";
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

const alice = "slc_discovery_alice_0001";
const bob = "slc_discovery_bob_000001";

describe("models that a provider lists", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  let offered: unknown = {
    object: "list",
    data: ["gpt-4o", "gpt-4o-mini", "gpt-of-ours", "whisper-1"].map((id) => ({ id })),
  };
  let looks = 0;

  const manifests = (discovery: Record<string, unknown>, more: Manifest[] = []): Manifest[] => [
    provider("up", upstream.url, {
      type: "OpenAI",
      models: [{ name: "fast", upstream: "gpt-4o-mini", price: { inputPerMillion: "1", outputPerMillion: "1" } }],
      discovery: { interval: "1s", ...discovery },
      circuitBreaker: { failureThreshold: 1000 },
    }),
    secret("up-credentials", { apiKey: "sk-1" }),
    policy("all", { match: { models: ["*"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
    ...key("alice", alice),
    ...key("bob", bob, { models: ["gpt-4o"] }),
    ...more,
  ];
  const ask = (model: string, clear = alice): Promise<Response> =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model, max_tokens: 5, messages: [{ role: "user", content: "Hi" }] }),
    });
  const listed = async (clear = alice): Promise<string[]> => {
    const answer = await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${clear}` } });
    return ((await answer.json()) as { data: { id: string }[] }).data.map(({ id }) => id);
  };
  const lists = (...names: string[]): Promise<unknown> =>
    eventually(async () => assert.deepEqual(await listed(), names) ?? true);

  before(async () => {
    upstream = await startUpstream((request, response) => {
      if (request.method !== "GET") return openai(request, response);
      looks++;
      assert.equal(request.path, "/v1/models");
      assert.equal(request.headers["authorization"], "Bearer sk-1");
      if (offered === null) json(response, 500, { error: { message: "no" } });
      else json(response, 200, offered);
    });
    gateway = await startGateway(manifests({ models: ["gpt-*"] }));
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  it("are called and listed as if they were declared, as far as they match", async () => {
    await lists("fast", "gpt-4o", "gpt-4o-mini", "gpt-of-ours");
    assert.equal((await ask("gpt-4o")).status, 200);
    assert.equal(upstream.requests.at(-1)?.json["model"], "gpt-4o");
    assert.equal((await ask("whisper-1")).status, 404);
  });

  it("are for keys that may use them", async () => {
    assert.deepEqual(await listed(bob), ["gpt-4o"]);
    assert.equal((await ask("gpt-4o", bob)).status, 200);
    assert.equal((await ask("gpt-4o-mini", bob)).status, 403);
  });

  it("follow the provider's list, and stay while it can't be read", async () => {
    offered = { object: "list", data: [{ id: "gpt-4o" }, { id: "gpt-new" }] };
    await lists("fast", "gpt-4o", "gpt-new");
    offered = null;
    const failed = looks;
    await eventually(() => looks > failed + 1);
    assert.deepEqual(await listed(), ["fast", "gpt-4o", "gpt-new"]);
    const reading = async () => parseProxyStatus(await gateway.status())?.providers.get("default/up")?.discovered;
    await eventually(async () => (await reading())?.reason === "status 500");
    assert.deepEqual(discoveryCondition([(await reading()) ?? { models: null, matching: 0, reason: null }]), {
      type: "ModelsDiscovered",
      status: "False",
      reason: "DiscoveryFailed",
      message: "GET of the provider's models: status 500; what was found before stays",
    });
    offered = { object: "list", data: [{ id: "gpt-4o" }, { id: "gpt-of-ours" }] };
    await lists("fast", "gpt-4o", "gpt-of-ours");
  });

  it("have the price table's prices, and a hard budget refuses those without", async () => {
    const hard: Manifest = {
      kind: "Budget",
      metadata: { name: "hard" },
      spec: { amount: "100", period: "Total", enforcement: "Hard" },
    };
    await gateway.apply(manifests({ models: ["gpt-*"] }, [hard]));
    await lists("fast", "gpt-4o", "gpt-of-ours");
    assert.equal((await ask("gpt-4o")).status, 200);
    const refused = await ask("gpt-of-ours");
    assert.equal(((await refused.json()) as { error: { code: string } }).error.code, "price_unknown");
    assert.ok(
      gateway.printed.some((line) => line.includes("no price is known for gpt-of-ours of LLMProvider default/up")),
    );
  });

  it("are at most as many as the object says", async () => {
    offered = { object: "list", data: Array.from({ length: 400 }, (_, index) => ({ id: `gpt-${100 + index}` })) };
    await gateway.apply(manifests({ models: ["gpt-*"], maxModels: 2 }));
    await lists("fast", "gpt-100", "gpt-101");
  });
});

it("types that list their models are those that say so", () => {
  for (const [type, { modelList }] of Object.entries(providers))
    assert.equal(modelList !== undefined, capabilitiesByType[type]?.discovers === true, type);
});

describe("a provider's list of models is read in its own form", () => {
  const account = { basePath: "/base/v1" } as Parameters<
    NonNullable<(typeof providers)[string]["modelList"]>["path"]
  >[0];
  const rows: Record<string, [path: string, body: unknown, names: string[] | null]> = {
    OpenAI: ["/base/v1/models", { object: "list", data: [{ id: "a", object: "model" }, { id: 3 }] }, ["a"]],
    OpenAICompatible: ["/base/v1/models", { data: [{ id: "a" }] }, ["a"]],
    Mistral: ["/base/v1/models", { object: "list", data: [{ id: "a" }] }, ["a"]],
    Anthropic: ["/base/v1/models?limit=1000", { data: [{ type: "model", id: "a" }], has_more: false }, ["a"]],
    Gemini: ["/base/v1/models?pageSize=1000", { models: [{ name: "models/a", displayName: "A" }] }, ["a"]],
    Cohere: ["/base/v1/v1/models?page_size=1000", { models: [{ name: "a", endpoints: ["chat"] }] }, ["a"]],
  };
  it("for every type that has one", () => {
    const types = Object.keys(providers).filter((type) => providers[type]?.modelList !== undefined);
    assert.deepEqual(types.sort(), Object.keys(rows).sort());
  });
  for (const [type, [path, body, names]] of Object.entries(rows))
    it(type, () => {
      const list = providers[type]?.modelList;
      assert.equal(list?.path(account), path);
      assert.deepEqual(list?.names(body), names);
      for (const odd of [null, [], "x", {}, { data: 1, models: "x" }]) assert.equal(list?.names(odd), null);
    });
});
