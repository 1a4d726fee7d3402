/** Models that an LLMProvider takes on from the provider's own list: called, listed, priced, and for whom. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { parseProxyStatus } from "../../operator/cluster/proxy-status.ts";
import { discoveryCondition } from "../../operator/compile/discovery.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import type { AuthEnvironment } from "../../proxy/providers/provider.ts";
import { providers } from "../../proxy/providers/registry.generated.ts";
import { modelLister } from "../../proxy/routing/list-models.ts";
import type { ProviderEntry } from "../../proxy/snapshot/snapshot.ts";
import type { Upstreams } from "../../proxy/wire/upstream.ts";
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
    // Its list may have been read since.
    assert.equal(upstream.requests.findLast(({ json }) => "model" in json)?.json["model"], "gpt-4o");
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
  const resourceId = "/subscriptions/1/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a";
  const account = {
    ...{ basePath: "/base/v1", origin: "https://up.example.com", credentials: {} },
    config: { options: { resourceId, version: "2025-02-11", project: "p" } },
  } as unknown as Parameters<NonNullable<(typeof providers)[string]["modelList"]>["path"]>[0];
  const rows: Record<string, [path: string, body: unknown, names: string[] | null]> = {
    OpenAI: ["/base/v1/models", { object: "list", data: [{ id: "a", object: "model" }, { id: 3 }] }, ["a"]],
    OpenAICompatible: ["/base/v1/models", { data: [{ id: "a" }] }, ["a"]],
    Mistral: ["/base/v1/models", { object: "list", data: [{ id: "a" }] }, ["a"]],
    Anthropic: ["/base/v1/models?limit=1000", { data: [{ type: "model", id: "a" }], has_more: false }, ["a"]],
    Gemini: ["/base/v1/models?pageSize=1000", { models: [{ name: "models/a", displayName: "A" }] }, ["a"]],
    AzureOpenAI: [
      `${resourceId}/deployments?api-version=2024-10-01`,
      { value: [{ name: "a" }, { name: "b", properties: { provisioningState: "Failed" } }] },
      ["a"],
    ],
    AzureAIFoundry: [
      `${resourceId}/deployments?api-version=2024-10-01`,
      {
        value: [
          { name: "claude-sonnet-4-5", properties: { model: { format: "Anthropic" }, provisioningState: "Succeeded" } },
          { name: "being-made", properties: { model: { format: "OpenAI" }, provisioningState: "Creating" } },
        ],
      },
      ["claude-sonnet-4-5"],
    ],
    Bedrock: [
      "/base/v1/foundation-models?byOutputModality=TEXT&byInferenceType=ON_DEMAND",
      { modelSummaries: [{ modelId: "a", modelArn: "arn:aws:bedrock:::a" }] },
      ["a"],
    ],
    VertexAI: [
      "/base/v1beta1/publishers/google/models?pageSize=200",
      { publisherModels: [{ name: "publishers/google/models/a", versionId: "1" }] },
      ["a"],
    ],
    Watsonx: [
      "/base/v1/ml/v1/foundation_model_specs?version=2025-02-11&limit=200",
      { resources: [{ model_id: "ibm/a" }], limit: 200 },
      ["ibm/a"],
    ],
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
      for (const odd of [null, [], "x", { a: 1 }, { data: 1, models: "x" }]) assert.equal(list?.names(odd), null);
    });
});

describe("lists of models at clouds", () => {
  interface Sent {
    origin: string;
    path: string;
    headers: Record<string, string>;
  }
  /** Answers by the part of the path that a key names, and keeps what was asked. */
  const answering = (answers: Readonly<Record<string, unknown>>, sent: Sent[]): Pick<Upstreams, "send"> => ({
    send(address, { path, headers }, handler) {
      sent.push({ origin: address.origin, path, headers });
      const key = Object.keys(answers).find((part) => path.includes(part));
      queueMicrotask(() => {
        handler.head(key === undefined ? 403 : 200, {});
        handler.data(Buffer.from(JSON.stringify(answers[key ?? ""] ?? {})));
        handler.end();
      });
      return { abort: () => undefined, resume: () => undefined, sent: true };
    },
  });
  const auth = {
    nowMs: () => Date.UTC(2026, 10, 30),
    token: (_key: string, _make: unknown) => Promise.resolve("token-1"),
    forget: () => undefined,
    cloud: { bearer: (_account: unknown, scope: string) => Promise.resolve(`token for ${scope}`) },
  } as unknown as AuthEnvironment;

  function entryOf(type: string, origin: string, more: { options?: object; credentials?: object; identity?: object }) {
    const { options = {}, credentials = {}, identity } = more;
    const config = { id: "a/p", type, options, ...(identity === undefined ? {} : { identity }) };
    const additions = { headers: { "x-front": "secret" }, query: "front=secret", secrets: ["secret"] };
    return {
      provider: providers[type],
      account: { config, origin, basePath: "", credentials, additions },
      address: {
        origin,
        allowPrivate: false,
        connectMs: 1,
        writeMs: 1,
        tls: { ca: "own", serverName: null, client: null },
      },
      models: new Map(),
    } as unknown as ProviderEntry;
  }
  const resourceId = "/subscriptions/1/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a";

  const azure = [
    ["AzureOpenAI", "https://contoso.openai.azure.com"],
    ["AzureAIFoundry", "https://contoso.services.ai.azure.com"],
  ] as const;
  for (const [type, origin] of azure) {
    it(`have the deployments of ${type} from Resource Manager, which gets nothing of the endpoint's own`, async () => {
      const sent: Sent[] = [];
      const link = `https://management.azure.com${resourceId}/deployments?page=2`;
      const list = modelLister(
        answering(
          { "page=2": { value: [{ name: "b" }] }, "/deployments": { value: [{ name: "a" }], nextLink: link } },
          sent,
        ),
        auth,
      );
      const options = {
        resourceId,
        management: "https://management.azure.com",
        scope: "https://cognitiveservices.azure.com/.default",
      };
      const entry = entryOf(type, origin, { options, identity: { cloud: "azure" } });
      assert.deepEqual(await list(entry), ["a", "b"]);
      assert.deepEqual(
        sent.map(({ origin, path }) => `${origin}${path}`),
        [`https://management.azure.com${resourceId}/deployments?api-version=2024-10-01`, link],
      );
      assert.equal(sent[0]?.headers["authorization"], "Bearer token for https://management.azure.com/.default");
      assert.ok(!JSON.stringify(sent).includes("secret"));
    });

    it(`of ${type} say what is missing`, async () => {
      const list = modelLister(answering({}, []), auth);
      const entry = (options: object, credentials: object) => entryOf(type, origin, { options, credentials });
      assert.match(String(await list(entry({}, {}))), /set spec.options.resourceId/);
      assert.match(String(await list(entry({ resourceId }, { apiKey: "k" }))), /only to Entra identities/);
    });
  }

  it("have Bedrock's models and inference profiles, signed for the control plane", async () => {
    const sent: Sent[] = [];
    const profiles = { inferenceProfileSummaries: [{ inferenceProfileId: "eu.a" }] };
    const list = modelLister(
      answering(
        {
          nextToken: profiles,
          "/inference-profiles": { inferenceProfileSummaries: [{ inferenceProfileId: "eu.b" }], nextToken: "n=1" },
          "/foundation-models": { modelSummaries: [{ modelId: "a" }] },
        },
        sent,
      ),
      auth,
    );
    const entry = entryOf("Bedrock", "https://bedrock-runtime.eu-central-1.amazonaws.com", {
      options: { region: "eu-central-1" },
      credentials: { accessKeyId: "AKIA1", secretAccessKey: "s1" },
    });
    assert.deepEqual(await list(entry), ["a", "eu.b", "eu.a"]);
    assert.ok(sent.every(({ origin }) => origin === "https://bedrock.eu-central-1.amazonaws.com"));
    assert.match(sent[0]?.headers["authorization"] ?? "", /Credential=AKIA1\/\d+\/eu-central-1\/bedrock\/aws4_request/);
    assert.equal(sent[2]?.path, "/inference-profiles?maxResults=1000&nextToken=n%3D1");
  });

  it("have Vertex AI's Gemini and Claude models, page by page", async () => {
    const sent: Sent[] = [];
    const list = modelLister(
      answering(
        {
          pageToken: { publisherModels: [{ name: "publishers/google/models/gemini-b" }] },
          "/google/": { publisherModels: [{ name: "publishers/google/models/gemini-a" }], nextPageToken: "2" },
          "/anthropic/": { publisherModels: [{ name: "publishers/anthropic/models/claude-a" }] },
        },
        sent,
      ),
      auth,
    );
    const entry = entryOf("VertexAI", "https://europe-west1-aiplatform.googleapis.com", {
      options: { project: "p", location: "europe-west1" },
      identity: { cloud: "google" },
    });
    assert.deepEqual(await list(entry), ["gemini-a", "claude-a", "gemini-b"]);
    assert.equal(sent[0]?.headers["x-goog-user-project"], "p");
    assert.match(sent[0]?.headers["authorization"] ?? "", /^Bearer token for /);
    const other = entryOf("VertexAI", "https://x", { options: { api: "OpenAI" } });
    assert.match(String(await list(other)), /lists no models for its OpenAI-compatible API/);
  });

  it("are read for at most 20 pages, and not at all where one is refused", async () => {
    const sent: Sent[] = [];
    const endless = {
      resources: [{ model_id: "ibm/a" }],
      next: { href: "https://other.example.com/ml/v1/more?start=1" },
    };
    const entry = entryOf("Watsonx", "https://eu-de.ml.cloud.ibm.com", { options: { version: "2025-02-11" } });
    let page = 0;
    const counting: Pick<Upstreams, "send"> = {
      send(address, request, handler) {
        const body = { ...endless, next: { href: `https://other.example.com/ml/v1/more?start=${page++}` } };
        return answering({ "/ml/v1/": body }, sent).send(address, request, handler);
      },
    };
    assert.deepEqual(await modelLister(counting, auth)(entry), ["ibm/a"]);
    assert.equal(sent.length, 20);
    assert.ok(
      sent.every(
        ({ origin, headers }) =>
          origin === "https://eu-de.ml.cloud.ibm.com" && headers["authorization"] === "Bearer token-1",
      ),
    );
    assert.equal(await modelLister(answering({}, []), auth)(entry), "status 403");
  });
});
