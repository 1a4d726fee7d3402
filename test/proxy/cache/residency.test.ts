/** The proxy's own check: no config sends a text for a vector to where it may not go. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encode, sha256Hex } from "../../../proxy/config/encode.ts";
import { providerConfig } from "../../../proxy/config/provider.ts";
import { routeConfig } from "../../../proxy/config/route.ts";
import { type RenderedConfig, settings } from "../../../proxy/config/schema.ts";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import { build } from "../../../proxy/snapshot/build.ts";

const pepper = Buffer.alloc(32, 7);
const model = { upstream: "m", sunset: null, price: null, maxOutputTokens: null, contextTokens: null };

const provider = (name: string, region: string | null) =>
  providerConfig.parse({
    ...{
      id: `a/${name}`,
      type: "OpenAICompatible",
      endpoint: `http://${name}.example/v1`,
      allowPrivateEndpoint: false,
      credentials: {},
      options: {},
      region,
    },
    models: { m: model },
    unsupportedParameters: "Drop",
    timeouts: { connectMs: 1, responseMs: 1, firstTokenMs: 1, idleMs: 1, totalMs: 1 },
    retry: { attempts: 1, initialDelayMs: 1, maxDelayMs: 1, multiplier: 1, jitter: 0 },
    circuitBreaker: { failureThreshold: 1, successThreshold: 1, openForMs: 1, halfOpenRequests: 1 },
    quota: { requestsPerMinute: null, tokensPerMinute: null },
  });

function embedder(region: string | null, regions: string[] | null, named = "vectors", namedModel = "m") {
  const semantic = {
    provider: `a/${named}`,
    model: namedModel,
    threshold: 0.9,
    shadow: false,
    timeoutMs: 1,
    maxEntries: 1,
  };
  const route = routeConfig.parse({
    ...{ id: "a/r", pathPrefix: "", models: ["m"], consumers: "*" },
    access: { anonymous: false, roles: null, teams: null, tags: null, regions },
    request: { defaults: {}, overrides: {}, prompts: [] },
    routing: {
      ...{ strategy: "Priority", fallbackOn: [], slowAfterMs: null, affinity: null, rules: [] },
      targets: [{ name: "t", provider: "a/main", model: null, priority: 1, weight: 1 }],
    },
    cache: {
      ttlMs: 1,
      maxEntries: 1,
      scope: "Namespace",
      ignore: [],
      temperatureAtMost: null,
      maxTokensBelow: null,
      semantic,
    },
    logging: { statistics: true, payloads: false },
  });
  const config: RenderedConfig = {
    settings: settings.parse({ maxBodyBytes: 1 }),
    providers: [provider("main", "eu"), provider("vectors", region)],
    routes: [route],
    budgets: [],
    keys: [],
  };
  const snapshot = build(
    config,
    encode(config, sha256Hex(pepper)).manifest,
    { pepper, credentials: new Map() },
    providers,
  );
  return snapshot.paths.get("")?.routes[0]?.embedder ?? null;
}

describe("what makes vectors", () => {
  it("is used where the policy allows its region, or any", () => {
    assert.equal(embedder("eu", ["eu"])?.model.name, "m");
    assert.equal(embedder(null, null)?.model.name, "m");
  });
  for (const [why, found] of [
    ["is in another region", () => embedder("us", ["eu"])],
    ["does not say where it is", () => embedder(null, ["eu"])],
    ["is not there", () => embedder("eu", null, "other")],
    ["has not the model", () => embedder("eu", null, "vectors", "other")],
  ] as const)
    it(`is not used where it ${why}`, () => assert.equal(found(), null));
});
