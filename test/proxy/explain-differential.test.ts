/** What `explain` says of a call is what the proxy then answers: on random worlds, the same code or the same target. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, before, describe, it } from "node:test";
import { compileOffline } from "../../operator/folder/compile-offline.ts";
import { encode, sha256Hex } from "../../proxy/config/encode.ts";
import { authenticate } from "../../proxy/pipeline/authenticate.ts";
import { type Explanation, explainCall } from "../../proxy/pipeline/explain.ts";
import { providers } from "../../proxy/providers/registry.generated.ts";
import { build } from "../../proxy/snapshot/build.ts";
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
import fc, { runs } from "../harness/property.ts";
import { json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

type Json = Record<string, unknown>;

const pepper = new Uint8Array(32);
const price = { inputPerMillion: "2", outputPerMillion: "10" };

/** Mostly the first value, so that most calls get far. */
const mostly = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });

const providerSpec = fc.record({
  type: fc.constantFrom("OpenAICompatible", "Anthropic"),
  priced: mostly(true, false),
  context: mostly<number | undefined>(undefined, 8, 100_000),
  most: fc.constantFrom(undefined, 1_000),
  refuses: fc.boolean(),
  region: fc.constantFrom(undefined, "eu", "us"),
  models: mostly(["alpha", "beta"], ["alpha"], ["beta"]),
});
const targetSpec = fc.record({
  provider: fc.nat(2),
  model: fc.constantFrom(undefined, "alpha", "beta"),
  priority: fc.integer({ min: 1, max: 3 }),
});
interface Rule {
  when: object;
  /** Position of the target. */
  use: number;
}
const policySpec = fc.record({
  models: mostly<string[] | undefined>(["alpha", "beta"], ["alpha"], ["beta"], undefined),
  prefix: mostly<string | undefined>(undefined, "/one", "/two"),
  targets: fc.uniqueArray(targetSpec, {
    minLength: 1,
    maxLength: 3,
    selector: (one) => `${one.provider} ${one.model}`,
  }),
  strategy: fc.constantFrom("Priority", "LeastCost"),
  access: mostly<object>(
    {},
    { teams: ["b"] },
    { roles: ["admin"] },
    { tags: ["gold"] },
    { residency: { regions: ["eu"] } },
  ),
  request: mostly<object>(
    {},
    { overrides: { temperature: 0.5 } },
    { defaults: { max_tokens: 20 } },
    { overrides: { model: "beta" } },
  ),
  guard: mostly<object | undefined>(undefined, { deny: [{ pattern: "forbidden" }] }),
  rules: fc.constantFrom<Rule[]>(
    [],
    [{ when: { teams: ["b"] }, use: 0 }],
    [{ when: { promptTokens: { greaterThan: 30 } }, use: 1 }],
  ),
  audited: mostly(false, true),
  limits: fc.constantFrom(
    undefined,
    [{ requests: 1000, per: "User", window: "1h" }],
    [{ tokens: 100_000, per: "User", window: "1h" }],
  ),
});
const budgetSpec = fc.record({
  // The last is more than the calls of a world spend, as nothing is spent for `explain`, and less than some reserve.
  amount: mostly("100", "0", "0.003"),
  enforcement: fc.constantFrom("Hard", "Soft"),
  scope: fc.constantFrom({}, { teams: ["b"] }, { models: ["alpha"] }),
});
const worldSpec = fc.record({
  providers: fc.array(providerSpec, { minLength: 3, maxLength: 3 }),
  policies: fc.array(policySpec, { minLength: 1, maxLength: 3 }),
  budgets: fc.array(budgetSpec, { maxLength: 2 }),
});
const bodies: readonly Json[] = [
  { max_tokens: 10 },
  {},
  { max_tokens: 10, temperature: 1.5 },
  { max_tokens: 5_000 },
  { max_tokens: -1 },
  { max_tokens: 10, n: 2 },
  { max_tokens: 10, service_tier: "priority" },
  { max_tokens: 10, seed: 1, logit_bias: { "5": 1 } },
  { max_tokens: 10, tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }] },
  { max_tokens: 10, response_format: { type: "json_object" } },
  { max_tokens: 10, fallbacks: ["beta"] },
  { max_tokens: 10, messages: [{ role: "user", content: "forbidden" }] },
  { max_tokens: 10, messages: [{ role: "user", content: "long ".repeat(60) }] },
  { max_tokens: 10, messages: "none" },
];
const callSpec = fc.record({
  caller: mostly("ann", "bob", "old", "few", "nobody"),
  model: mostly<string | undefined>("alpha", "beta", "gamma", undefined),
  path: mostly(
    "/v1/chat/completions",
    "/one/chat/completions",
    "/two/chat/completions",
    "/v1/messages",
    "/v1/embeddings",
    "/v1/nothing",
  ),
  body: fc.constantFrom(...bodies),
  prefer: fc.constantFrom(undefined, "p1"),
});
type World = typeof worldSpec extends fc.Arbitrary<infer T> ? T : never;
type Call = typeof callSpec extends fc.Arbitrary<infer T> ? T : never;

/** A rule that names no target that can be asked, and a call that a limit can't count. */
const uncountable: [World, Call[]] = [
  {
    providers: [["beta"], ["alpha"], ["alpha"]].map((models) => ({
      ...{ type: "OpenAICompatible", priced: true, context: undefined, most: undefined, refuses: false },
      ...{ region: undefined, models },
    })),
    policies: [
      {
        ...{ models: ["alpha"], prefix: undefined, strategy: "Priority", access: {}, request: {} },
        targets: [0, 1].map((provider) => ({ provider, model: undefined, priority: 1 })),
        ...{ guard: undefined, rules: [{ when: { teams: ["b"] }, use: 0 }], audited: false },
        limits: [{ tokens: 100_000, per: "User", window: "1h" }],
      },
    ],
    budgets: [],
  },
  [{ caller: "bob", model: "alpha", path: "/v1/chat/completions", body: { max_tokens: -1 }, prefer: undefined }],
];

const clearOf = (name: string): string => `slc_explained_${name}_key_01`;

/** Names have the world's number, so that nothing is left of what earlier worlds spent. */
function manifestsOf({ providers, policies, budgets }: World, url: string, number: number): Manifest[] {
  return [
    ...providers.map(({ type, priced, context, most, refuses, region, models }, index) =>
      provider(`p${index}`, url, {
        type,
        endpoint: type === "Anthropic" ? url : `${url}/v1`,
        ...(region === undefined ? {} : { region }),
        unsupportedParameters: refuses ? "Refuse" : "Drop",
        models: models.map((name) => ({
          name,
          // Names that no table of prices has.
          upstream: `${name}-${index}`,
          ...(priced ? { price } : {}),
          ...(context === undefined ? {} : { contextTokens: context }),
          ...(most === undefined ? {} : { maxOutputTokens: most }),
        })),
      }),
    ),
    ...providers.map((_, index) => secret(`p${index}-credentials`, { apiKey: "sk" })),
    ...policies.map(({ models, prefix, targets, strategy, access, request, guard, rules, audited, limits }, index) => {
      const named = targets.map(({ provider, model, priority }, position) => ({
        name: `t${position}`,
        provider: { name: `p${provider}` },
        priority,
        ...(model === undefined ? {} : { model }),
      }));
      return policy(`r${index}-${number}`, {
        match: {
          ...(models === undefined && prefix !== undefined ? {} : { models: models ?? ["alpha"] }),
          ...(prefix === undefined ? {} : { pathPrefix: prefix }),
        },
        access,
        ...(Object.keys(request).length === 0 ? {} : { request }),
        routing: {
          strategy,
          targets: named,
          rules: rules.map(({ when, use }) => ({ when, use: [named[use]?.name ?? "t0"] })),
        },
        ...(guard === undefined ? {} : { guard }),
        ...(limits === undefined ? {} : { limits }),
        audit: { required: audited },
      });
    }),
    ...budgets.map(
      ({ amount, enforcement, scope }, index): Manifest => ({
        kind: "Budget",
        metadata: { name: `b${index}-${number}` },
        spec: { amount, enforcement, period: "Total", ...(Object.keys(scope).length === 0 ? {} : { scope }) },
      }),
    ),
    ...key("ann", clearOf("ann"), { tags: ["gold"] }),
    ...key("bob", clearOf("bob"), { team: "b", role: "admin" }),
    ...key("old", clearOf("old"), { revoked: true }),
    ...key("few", clearOf("few"), { models: ["beta"] }),
  ];
}

function bodyOf({ path, model, body }: Call): Json {
  const content = path.endsWith("/embeddings") ? { input: "Hi" } : { messages: [{ role: "user", content: "Hi" }] };
  return { ...(model === undefined ? {} : { model }), ...content, ...body };
}

const headersOf = ({ caller, prefer }: Call): Record<string, string> => ({
  ...(caller === "nobody" ? {} : { authorization: `Bearer ${clearOf(caller)}` }),
  ...(prefer === undefined ? {} : { "x-prefer-provider": prefer }),
});

/** The status and code of a refusal, or the target that answered. */
type Answer = { status: number; code: string } | { target: string };

const explainedAnswer = ({ failure, targets }: Explanation): Answer =>
  failure === null ? { target: targets[0]?.target ?? "" } : { status: failure.status, code: failure.code };

describe("explain and the proxy", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  let number = 0;

  before(async () => {
    upstream = await startUpstream();
    upstream.answer((request, response) =>
      request.path.endsWith("/messages")
        ? json(response, 200, {
            id: "msg_1",
            type: "message",
            role: "assistant",
            model: request.json["model"],
            content: [{ type: "text", text: "Hello" }],
            stop_reason: "end_turn",
            stop_sequence: null,
            usage: { input_tokens: 5, output_tokens: 2 },
          })
        : openai(request, response),
    );
    gateway = await startGateway([]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  async function answerOf(call: Call): Promise<Answer> {
    const response = await fetch(`${gateway.url}${call.path}`, {
      method: "POST",
      headers: { ...headersOf(call), "content-type": "application/json" },
      body: JSON.stringify(bodyOf(call)),
    });
    await response.text();
    if (response.ok) return { target: response.headers.get("x-provider-used") ?? "" };
    // Not every envelope has room for the code.
    const id = response.headers.get("x-request-id");
    const logged = await eventually(() => gateway.logs.find((line) => line["request_id"] === id));
    return { status: response.status, code: String(logged["code"]) };
  }

  async function snapshotOf(folder: string) {
    const options = { pepper, previous: null, nowMs: Date.now(), secrets: "required" as const, settings: null };
    const { config } = (await compileOffline([folder], {}, options)).compiled;
    const { manifest } = encode(config, sha256Hex(pepper));
    return build(config, manifest, { pepper, credentials: new Map() }, providers);
  }

  it("agree on the code of a refusal and on the first target", async () => {
    await fc.assert(
      fc.asyncProperty(worldSpec, fc.array(callSpec, { minLength: 6, maxLength: 12 }), async (world, calls) => {
        await gateway.apply(manifestsOf(world, upstream.url, ++number));
        const snapshot = await snapshotOf(gateway.folder);
        for (const call of calls) {
          const explained = await explainCall(
            snapshot,
            {
              identity: authenticate({ headers: headersOf(call) }, snapshot, Date.now()),
              path: call.path,
              body: Buffer.from(JSON.stringify(bodyOf(call))),
              headers: headersOf(call),
              promptTokens: null,
              outputTokens: null,
              batchSize: null,
              address: "127.0.0.1",
              country: null,
              durableAudit: false,
              cachedTokens: new Map(),
            },
            Date.now(),
          );
          const answer = await answerOf(call);
          assert.deepEqual(explainedAnswer(explained), answer, JSON.stringify(call));
        }
      }),
      { numRuns: runs(40), examples: [uncountable] },
    );
  });
});
