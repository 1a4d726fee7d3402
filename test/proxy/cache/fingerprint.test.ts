/** Which changes of a policy leave cached answers valid. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type RouteConfig, routeConfig } from "../../../proxy/config/route.ts";
import { answerFingerprint } from "../../../proxy/snapshot/fingerprint.ts";

const base = routeConfig.parse({
  id: "team-a/chat",
  pathPrefix: "",
  models: ["small"],
  consumers: ["team-a"],
  access: { anonymous: false, roles: null, teams: null, tags: null },
  request: { defaults: {}, overrides: {}, prompts: [] },
  routing: {
    strategy: "Priority",
    targets: [{ name: "main", provider: "team-a/main", model: "small", priority: 1, weight: 1 }],
    fallbackOn: [],
    slowAfterMs: null,
    affinity: null,
    rules: [],
  },
  cache: {
    ttlMs: 60_000,
    maxEntries: 100,
    scope: "Namespace",
    ignore: [],
    temperatureAtMost: null,
    maxTokensBelow: null,
  },
  logging: { statistics: true, payloads: false },
});
const of = (config: RouteConfig): string => answerFingerprint(config, [], null);

const unrelated: Record<string, Partial<RouteConfig>> = {
  "a limit": { limits: [{ per: "User", of: "Requests", amount: 5, windowMs: 60_000, onStateLoss: "allow" }] },
  "who may call": { access: { ...base.access, roles: ["admin"], networks: ["10.0.0.0/8"] } },
  "the namespaces that it is shared with": { consumers: "*" },
  "the models that it matches": { models: ["small", "large"] },
  "its path": { pathPrefix: "/chat" },
  "what is audited": { audit: { required: true, bodies: true } },
  "what is logged": { logging: { statistics: false, payloads: true } },
};
const related: Record<string, Partial<RouteConfig>> = {
  "its identity": { id: "team-b/chat" },
  "a default of the request": { request: { ...base.request, defaults: { temperature: 0 } } },
  "a prompt": {
    request: { ...base.request, prompts: [{ role: "system", position: "Prepend", content: "Be brief." }] },
  },
  "its targets": { routing: { ...base.routing, targets: [] } },
  "its guard": { guard: { deny: ["x"], allow: null, maxPromptBytes: null, exemptRoles: [], mask: null } },
  "the regions that may process data": { access: { ...base.access, regions: ["eu"] } },
};

describe("cached answers of a policy", () => {
  for (const [what, change] of Object.entries(unrelated))
    it(`stay valid after a change of ${what}`, () => assert.equal(of({ ...base, ...change }), of(base)));
  for (const [what, change] of Object.entries(related))
    it(`are no longer found after a change of ${what}`, () => assert.notEqual(of({ ...base, ...change }), of(base)));
  it("stay valid when a newer contract adds a field that the policy doesn't set", () => {
    assert.equal(of({ ...base, watch: undefined } as RouteConfig), of(base));
  });
});
