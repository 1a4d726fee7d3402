/** Headers and query parameters that an LLMProvider adds to each call, for a gateway in front of the provider. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { eventually, key, type Manifest, policy, provider, secret, startGateway } from "../harness/gateway.ts";
import { json, openai, startUpstream, type Upstream, type UpstreamRequest } from "../harness/upstream.ts";
import { allWires } from "./providers/wire/wires.ts";

const alice = "slc_additions_alice_0001";
const subscription = 'sub/scription"key+0001';
const token = "front token & more=0002";
const fromSecret = (name: string) => ({ secretKeyRef: { name: "front", key: name } });
const additions = {
  headers: [
    { name: "ocp-apim-subscription-key", valueFrom: fromSecret("subscription") },
    { name: "x-front-route", value: "team a" },
  ],
  query: [
    { name: "front-token", valueFrom: fromSecret("token") },
    { name: "front-trace", value: "on/off" },
  ],
};
const front = secret("front", { subscription, token });
const encoded = `front-token=${encodeURIComponent(token)}&front-trace=on%2Foff`;

const asked = (gateway: { url: string }, path: string, body: object): Promise<Response> =>
  fetch(gateway.url + path, {
    method: "POST",
    headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
const chat = (gateway: { url: string }, content = "Hi"): Promise<Response> =>
  asked(gateway, "/v1/chat/completions", { model: "m", max_tokens: 5, messages: [{ role: "user", content }] });

/** What came in front of the additions. */
function withoutAdditions(request: UpstreamRequest): UpstreamRequest {
  assert.ok(request.path.endsWith(encoded), request.path);
  assert.match(request.path.at(-encoded.length - 1) ?? "", /[?&]/);
  assert.equal(request.headers["ocp-apim-subscription-key"], subscription);
  assert.equal(request.headers["x-front-route"], "team a");
  return { ...request, path: request.path.slice(0, -encoded.length - 1) };
}

const manifests = (spec: Record<string, unknown>, more: Record<string, unknown> = {}): Manifest[] => [
  provider("up", "http://unused", { models: [{ name: "m" }], circuitBreaker: { failureThreshold: 100 }, ...spec }),
  policy("all", {
    match: { models: ["m"] },
    routing: { targets: [{ provider: { name: "up" } }], fallbackOn: [] },
    ...more,
  }),
  ...key("alice", alice),
];

/** Headers of a request that the connection sets, or that no object may set. */
const ofConnection =
  /^(host|connection|content-length|content-type|accept|accept-encoding|traceparent|anthropic-version|x-amz-.*)$/;

for (const wire of allWires)
  it(`arrive with the credential: ${wire.type} ${wire.variant ?? ""}`, async (context) => {
    const upstream: Upstream = await startUpstream((request, response) => {
      const aside = wire.aside?.(request) ?? null;
      if (aside !== null) upstream.requests.pop();
      json(response, 200, aside ?? wire.whole({ text: "Hello", usage: { prompt: 2, cached: 0, completion: 3 } }));
    });
    context.after(() => upstream.close());
    const model = { name: "m", upstream: wire.upstream ?? "model-1" };
    const spec = { type: wire.type, models: [model], ...wire.spec(upstream.url), ...additions };
    const gateway = await startGateway([...manifests(spec), front, secret("up-credentials", wire.secret)]);
    context.after(() => gateway.close());
    const answer = await chat(gateway);
    assert.equal(answer.status, 200, await answer.text());
    const [request] = upstream.requests;
    assert.ok(request !== undefined && upstream.requests.length === 1);
    assert.ok(wire.authorized(withoutAdditions(request)), "the credential is where it is without them");
    // Whatever else the type sets is declared, so that an object that sets it is refused.
    const { headers = [], credential = [] } = capabilitiesByType[wire.type]?.sets ?? {};
    const known = new Set([...headers, ...credential, ...additions.headers.map(({ name }) => name)]);
    const unknown = Object.keys(request.headers).filter((name) => !ofConnection.test(name) && !known.has(name));
    assert.deepEqual(unknown, []);
  });

describe("headers and query parameters of a provider", () => {
  let upstream: Upstream;
  let gateway: Awaited<ReturnType<typeof startGateway>>;
  const credentials = secret("up-credentials", { apiKey: "sk-up" });
  const spec = (): Record<string, unknown> => ({
    endpoint: `${upstream.url}/v1`,
    models: [{ name: "m" }, { name: "e" }],
    ...additions,
  });
  const cached = { cache: { ttl: "1h" } };

  before(async () => {
    upstream = await startUpstream(openai);
    gateway = await startGateway([...manifests(spec(), cached), front, credentials]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });
  const answeredBy = (answer: typeof openai): void => {
    upstream.requests.length = 0;
    upstream.answer(answer);
  };

  it("arrive with embeddings, health checks and files", async () => {
    answeredBy((request, response) => {
      if (request.path.startsWith("/v1/embeddings"))
        json(response, 200, {
          object: "list",
          data: [{ object: "embedding", index: 0, embedding: [0.1] }],
          model: "e",
          usage: { prompt_tokens: 1, total_tokens: 1 },
        });
      else if (request.path.startsWith("/v1/files")) json(response, 200, { object: "list", data: [], has_more: false });
      else json(response, 200, {});
    });
    const healthCheck = { path: "/models", interval: "1s" };
    const resources = { resources: { provider: { name: "up" } } };
    await gateway.apply([
      ...manifests({ ...spec(), healthCheck }, { ...resources, match: { models: ["m", "e"] } }),
      front,
      credentials,
    ]);
    assert.equal((await asked(gateway, "/v1/embeddings", { model: "e", input: "Hi" })).status, 200);
    await eventually(() => upstream.requests.some(({ path }) => path.startsWith("/v1/models")));
    for (const request of upstream.requests) withoutAdditions(request);
    await gateway.apply([...manifests(spec(), cached), front, credentials]);
  });

  it("are in no error, log, metric and status, even if the provider repeats them", async () => {
    answeredBy((request, response) => {
      const message = `no: ${request.path} ${String(request.headers["ocp-apim-subscription-key"])} ${token}`;
      json(response, 400, { error: { message, type: "invalid_request_error", param: null, code: null } });
    });
    const told = await (await chat(gateway, "repeat it")).text();
    const status = JSON.stringify(await gateway.status());
    for (const text of [told, gateway.logText(), await gateway.metrics(), status])
      for (const value of [subscription, token])
        for (const form of [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value)])
          assert.ok(!text.includes(form), text.slice(0, 400));
  });

  it("change with their Secret, and leave cached answers valid", async () => {
    answeredBy(openai);
    assert.equal((await chat(gateway)).headers.get("x-sluice-cache"), "miss");
    assert.equal((await chat(gateway)).headers.get("x-sluice-cache"), "hit");
    await gateway.apply([
      ...manifests(spec(), cached),
      secret("front", { subscription: "renewed-0001", token }),
      credentials,
    ]);
    assert.equal((await chat(gateway)).headers.get("x-sluice-cache"), "hit");
    assert.equal((await chat(gateway, "another")).status, 200);
    assert.deepEqual(
      upstream.requests.map(({ headers }) => headers["ocp-apim-subscription-key"]),
      [subscription, "renewed-0001"],
    );
  });
});
