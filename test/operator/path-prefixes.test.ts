import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Kind } from "../../crds/kinds.ts";
import { type Compiled, compile } from "../../operator/compile/compile.ts";
import { statusOf } from "../../operator/compile/status.ts";
import type { Problem, Verdict } from "../../operator/compile/verdict.ts";
import type { CompileSettings, WorldObject } from "../../operator/compile/world.ts";
import { asOperatorSettings } from "../../operator/settings/settings.ts";
import type { Identity } from "../../proxy/call/identity.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { encode } from "../../proxy/config/encode.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";
import { isFailure } from "../../proxy/failure.ts";
import { address, addressFor } from "../../proxy/pipeline/address.ts";
import { offersTo, route } from "../../proxy/pipeline/route.ts";
import { providers } from "../../proxy/providers/registry.generated.ts";
import { build } from "../../proxy/snapshot/build.ts";
import type { Snapshot } from "../../proxy/snapshot/snapshot.ts";
import fc, { runs } from "../harness/property.ts";

const nowMs = Date.parse("2026-11-20T12:00:00Z");
const open: CompileSettings = { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: ["platform"] };

function object(kind: Kind, id: string, spec: unknown, createdAtMs = 1): WorldObject {
  const [namespace = "", name = ""] = id.split("/");
  return { kind, meta: { name, namespace, uid: id, generation: 1, createdAtMs, labels: {} }, spec, status: {} };
}
const provider = (namespace: string): WorldObject =>
  object("LLMProvider", `${namespace}/p`, {
    type: "OpenAICompatible",
    endpoint: "http://llm.example.com/v1",
    models: [{ name: "m" }, { name: "n" }],
  });

interface PolicyOptions {
  models?: readonly string[];
  anonymous?: boolean;
  from?: string;
  target?: string;
}
const policy = (id: string, pathPrefix: string | null, createdAtMs: number, options: PolicyOptions = {}): WorldObject =>
  object(
    "RoutingPolicy",
    id,
    {
      match: { ...(pathPrefix === null ? {} : { pathPrefix }), ...(options.models ? { models: options.models } : {}) },
      routing: { targets: [{ provider: { name: options.target ?? "p" } }] },
      ...(options.anonymous ? { access: { anonymous: true } } : {}),
      ...(options.from ? { allowedNamespaces: { from: options.from } } : {}),
    },
    createdAtMs,
  );

function run(
  objects: WorldObject[],
  { settings = open, previous = null }: { settings?: CompileSettings; previous?: RenderedConfig | null } = {},
): Compiled {
  const world = { objects, namespaces: { a: {}, b: {}, platform: {} }, secrets: {} };
  return compile({ world, settings, previous, nowMs }, capabilitiesByType);
}

const verdictOf = (compiled: Compiled, id: string): Verdict => {
  const verdict = compiled.verdicts.find(
    ({ kind, meta }) => kind === "RoutingPolicy" && `${meta.namespace}/${meta.name}` === id,
  );
  assert.ok(verdict, id);
  return verdict;
};
const errorsOf = (compiled: Compiled, id: string): Problem[] =>
  verdictOf(compiled, id).accepted.filter(({ severity }) => severity === "error");
const served = (compiled: Compiled): string[] => compiled.config.routes.map(({ id }) => id);
const tenants = [provider("a"), provider("b"), provider("platform")];

function snapshotOf(config: RenderedConfig): Snapshot {
  const { manifest } = encode(config, "");
  return build(config, manifest, { pepper: Buffer.alloc(32), credentials: new Map() }, providers);
}

/** The policy that serves a call, or null where it is refused; by the stages that serve real calls. */
function servedBy(snapshot: Snapshot, identity: Identity, path: string, model: string | null): string | null {
  const found = address("POST", path, snapshot);
  if (isFailure(found)) return null;
  const addressed = addressFor(identity, found, "POST", path, snapshot);
  if (identity.anonymous && !offersTo(addressed.path, identity)) return null;
  const routed = route(addressed.path, model, identity);
  return isFailure(routed) ? null : routed.route.config.id;
}

const record = (namespace: string) => ({
  digest: "0".repeat(64),
  id: `${namespace}/key`,
  user: "u",
  team: null,
  role: "developer",
  tags: [],
  models: null,
  expiresAtMs: null,
  revoked: false,
});
const holderOf = (namespace: string): Identity => ({ anonymous: false, key: record(namespace), namespace });
const refusal = { code: "revoked_api_key", message: "" } as never;
const revokedHolderOf = (namespace: string): Identity => ({
  anonymous: true,
  failure: refusal,
  known: { ...record(namespace), revoked: true },
});
const nobody: Identity = { anonymous: true, failure: refusal };

describe("path prefixes of two namespaces", () => {
  const rows: [what: string, first: string, second: string, loses: boolean][] = [
    ["equal", "/chat", "/chat", true],
    ["the second below the first", "/chat", "/chat/v1", true],
    ["the second far below the first", "/chat", "/chat/v1/chat/completions", true],
    ["the second above the first", "/chat/v1", "/chat", true],
    ["the same beginning, but another segment", "/chat", "/chats", false],
    ["the same beginning with a dot", "/chat", "/chat.v1", false],
    ["side by side", "/apps/a", "/apps/b", false],
    ["one under /v1 and the other under a path", "", "/chat", false],
  ];
  for (const anonymous of [false, true])
    for (const [what, first, second, loses] of rows) {
      it(`${what}${anonymous ? ", open" : ""}: the later one ${loses ? "loses and its status names the owner" : "is served"}`, () => {
        const compiled = run([
          ...tenants,
          policy("b/first", first || null, 1, { models: ["m"] }),
          policy("a/second", second, 2, { anonymous }),
        ]);
        assert.deepEqual(served(compiled), loses ? ["b/first"] : ["a/second", "b/first"]);
        const accepted = errorsOf(compiled, "a/second");
        assert.equal(verdictOf(compiled, "a/second").live, loses ? "none" : "current");
        if (!loses) return;
        assert.deepEqual(
          accepted.map(({ reason }) => reason),
          ["Conflicted"],
        );
        assert.match(accepted[0]?.message ?? "", /belongs to namespace b/);
        assert.doesNotMatch(
          JSON.stringify(statusOf(verdictOf(compiled, "a/second"), { revision: "r", live: 1, total: 1 }, {}, nowMs)),
          /b\/first/,
        );
        assert.match(accepted[0]?.fullMessage ?? "", /RoutingPolicy b\/first/);
      });
    }

  it("a namespace may nest its own", () => {
    const compiled = run([...tenants, policy("a/outer", "/chat", 1), policy("a/inner", "/chat/v1", 2)]);
    assert.deepEqual(served(compiled), ["a/inner", "a/outer"]);
  });

  it("the winner is named where the loser is offered it anyway", () => {
    const compiled = run([
      ...tenants,
      policy("platform/all", "/chat", 1, { from: "All" }),
      policy("a/mine", "/chat", 2),
    ]);
    assert.match(errorsOf(compiled, "a/mine")[0]?.message ?? "", /RoutingPolicy platform\/all/);
  });

  it("a policy that was there goes before an older one that moves in", () => {
    const before = [...tenants, policy("b/old", "/elsewhere", 1), policy("a/young", "/chat", 2)];
    const previous = run(before).config;
    const moved = [...tenants, policy("b/old", "/chat/v1", 1), policy("a/young", "/chat", 2)];
    const compiled = run(moved, { previous });
    assert.deepEqual(served(compiled), ["a/young"]);
    // Without a memory age is all there is.
    assert.deepEqual(served(run(moved)), ["b/old"]);
  });

  it("an owner that goes makes room", () => {
    const both = [...tenants, policy("b/first", "/chat", 1), policy("a/second", "/chat/v1", 2)];
    const previous = run(both).config;
    assert.deepEqual(
      served(
        run(
          both.filter(({ meta }) => meta.name !== "first"),
          { previous },
        ),
      ),
      ["a/second"],
    );
  });
});

describe("what an installation permits a namespace", () => {
  const prefixes: [what: string, given: Record<string, string[]>, id: string, prefix: string, permitted: boolean][] = [
    ["any", { "*": ["/"] }, "a/r", "/chat", true],
    ["none", {}, "a/r", "/chat", false],
    ["its own name", { "*": ["/{namespace}"] }, "a/r", "/a/chat", true],
    ["another's name", { "*": ["/{namespace}"] }, "a/r", "/b/chat", false],
    ["what begins with its name", { "*": ["/{namespace}"] }, "a/r", "/ab", false],
    ["what it is given", { a: ["/chat", "/bots"] }, "a/r", "/bots/x", true],
    ["what is above", { a: ["/chat/v1"] }, "a/r", "/chat", false],
    ["what another is given", { "*": ["/"], b: ["/chat"] }, "a/r", "/chat", false],
    ["what lies below what another is given", { "*": ["/"], b: ["/chat"] }, "a/r", "/chat/v1", false],
    ["what lies above what another is given", { "*": ["/"], b: ["/chat/v1"] }, "a/r", "/chat", false],
    ["next to what another is given", { "*": ["/"], b: ["/chat"] }, "a/r", "/chats", true],
    ["anything, with a namespace that may claim anything", { "*": ["/"], platform: ["/"] }, "a/r", "/chat", true],
    ["named, it has no share in *", { "*": ["/"], a: ["/chat"] }, "a/r", "/bots", false],
    ["a namespace called like what objects inherit", { "*": [] }, "constructor/r", "/chat", false],
  ];
  for (const [what, pathPrefixes, id, prefix, permitted] of prefixes) {
    it(`${what}: ${prefix} is ${permitted ? "" : "not "}its`, () => {
      const [namespace = ""] = id.split("/");
      const compiled = run([provider(namespace), policy(id, prefix, 1)], { settings: { ...open, pathPrefixes } });
      assert.deepEqual(
        errorsOf(compiled, id).map(({ reason }) => reason),
        permitted ? [] : ["PrefixNotPermitted"],
      );
      assert.deepEqual(served(compiled), permitted ? [id] : []);
    });
  }

  it("/v1 can be neither granted nor denied", () => {
    const settings = { ...open, pathPrefixes: {} };
    assert.deepEqual(served(run([provider("a"), policy("a/r", null, 1, { models: ["m"] })], { settings })), ["a/r"]);
  });

  it("an open policy needs leave", () => {
    const settings = { ...open, anonymousNamespaces: ["platform"] };
    const objects = [...tenants, ...["a/r", "platform/r"].map((id) => policy(id, `/${id}`, 1, { anonymous: true }))];
    const compiled = run(objects, { settings });
    assert.deepEqual(served(compiled), ["platform/r"]);
    assert.match(errorsOf(compiled, "a/r")[0]?.message ?? "", /operator\.anonymousNamespaces/);
  });

  const withdrawn: [what: string, objects: WorldObject[], settings: CompileSettings, routes: object[]][] = [
    [
      "to serve callers without a key",
      [policy("a/r", "/chat", 1, { anonymous: true })],
      { ...open, anonymousNamespaces: [] },
      [{ id: "a/r", anonymous: false, consumers: ["a"] }],
    ],
    [
      "to share",
      [policy("platform/r", "/chat", 1, { from: "All" })],
      { ...open, sharingNamespaces: [] },
      [{ id: "platform/r", anonymous: false, consumers: ["platform"] }],
    ],
    ["to be at its prefix", [policy("a/r", "/chat", 1)], { ...open, pathPrefixes: { a: ["/bots"] } }, []],
  ];
  for (const [what, objects, settings, routes] of withdrawn) {
    it(`leave ${what} that is withdrawn does not live on in the last good form`, () => {
      const previous = run([...tenants, ...objects]).config;
      const broken = objects.map((one) => ({ ...one, spec: { ...(one.spec as object), typo: true } }));
      for (const form of [objects, broken]) {
        const { config } = run([...tenants, ...form], { settings, previous });
        assert.deepEqual(
          config.routes.map(({ id, access, consumers }) => ({ id, anonymous: access.anonymous, consumers })),
          routes,
        );
      }
    });
  }

  it("a grant that is narrowed counts although the rest of the edit is wrong", () => {
    const shared = policy("platform/r", "/chat", 1, { from: "All" });
    const previous = run([...tenants, shared]).config;
    const edited = policy("platform/r", "/chat", 1, { target: "p" });
    const spec = {
      ...(edited.spec as object),
      access: { hours: { from: "08:00", to: "18:00", timeZone: "Mars/Base" } },
    };
    const { config } = run([...tenants, { ...edited, spec }], { previous });
    assert.deepEqual(
      config.routes.map(({ consumers }) => consumers),
      [["platform"]],
    );
  });

  it("in a cluster nobody serves callers without a key unless the settings say so", () => {
    const settings = asOperatorSettings("operator.yaml", "namespace: sluice-system");
    assert.deepEqual([settings.anonymousNamespaces, settings.pathPrefixes], [[], { "*": ["/"] }]);
  });

  for (const wrong of ["chat", "/chat/", "/v1/x", "/Chat", "//"])
    it(`settings with the prefix ${wrong} are refused`, () => {
      const text = JSON.stringify({ namespace: "s", pathPrefixes: { a: [wrong] } });
      assert.throws(() => asOperatorSettings("operator.yaml", text), /pathPrefixes\.a\.0/);
    });
});

describe("whose policy serves a call", () => {
  const segment = fc.constantFrom("chat", "chat-a", "v2", "v1", "completions");
  const prefix = fc
    .array(segment, { minLength: 1, maxLength: 3 })
    .map((parts) => `/${parts.join("/")}`)
    .filter((path) => path !== "/v1" && !path.startsWith("/v1/"));
  const policies = fc.array(
    fc.record({
      namespace: fc.constantFrom("a", "b", "platform"),
      prefix: fc.option(prefix),
      models: fc.option(fc.constantFrom<string[][]>(["m"], ["n"], ["m", "n"])),
      anonymous: fc.boolean(),
      from: fc.constantFrom("Same", "All"),
      createdAtMs: fc.nat(5),
      broken: fc.boolean(),
    }),
    { maxLength: 8 },
  );
  const toWorld = (drawn: typeof policies extends fc.Arbitrary<infer T> ? T : never): WorldObject[] => [
    ...tenants,
    ...drawn.map(({ namespace, createdAtMs, broken, ...rest }, index) =>
      policy(`${namespace}/r${index}`, rest.prefix, createdAtMs, {
        ...(rest.models === null && rest.prefix !== null ? {} : { models: rest.models ?? ["m"] }),
        anonymous: rest.anonymous && rest.prefix !== null,
        from: rest.from,
        ...(broken ? { target: "gone" } : {}),
      }),
    ),
  ];
  const shared = (compiled: Compiled, id: string): boolean =>
    id.startsWith("platform/") && compiled.config.routes.find((route) => route.id === id)?.consumers === "*";

  const callers: readonly Identity[] = [holderOf("a"), revokedHolderOf("a"), nobody];

  it("a key of tenant a is served by a's policy, by one that is shared with it, or refused; never by b's", () => {
    const suffix = fc.constantFrom("", "/v1/chat/completions", "/chat/completions", "/completions", "/v1/messages");
    const requests = fc.array(fc.tuple(fc.oneof(prefix, fc.constant("")), suffix, fc.constantFrom("m", "n", null)), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(policies, policies, requests, (before, now, calls) => {
        // Two states, one after the other, so that last good forms and claims take part.
        const previous = run(toWorld(before)).config;
        const compiled = run(toWorld(now), { previous });
        const snapshot = snapshotOf(compiled.config);
        for (const [path, rest, model] of calls)
          for (const identity of callers) {
            const id = servedBy(snapshot, identity, path + rest, model);
            if (id === null) continue;
            const config = compiled.config.routes.find((route) => route.id === id);
            if (identity.anonymous) assert.ok(config?.access.anonymous, `${id} serves a caller without a key`);
            if (identity !== nobody) assert.ok(id.startsWith("a/") || shared(compiled, id), `${id} serves a's key`);
          }
      }),
      { numRuns: runs(400) },
    );
  });

  it("whatever b publishes, what a has stays a's", () => {
    const calls = ["/chat-a", "/chat-a/v1/chat/completions", "/chat-a/chat/completions"];
    fc.assert(
      fc.property(policies, (drawn) => {
        const mine = policy("a/mine", "/chat-a", 3, { models: ["m"] });
        const previous = run([...tenants, mine]).config;
        const theirs = toWorld(drawn.map((one) => ({ ...one, namespace: "b" as const })));
        const snapshot = snapshotOf(run([...theirs, mine], { previous }).config);
        for (const path of calls) assert.equal(servedBy(snapshot, holderOf("a"), path, "m"), "a/mine");
      }),
      { numRuns: runs(200) },
    );
  });

  it("a proxy does not rely on the operator: of prefixes that overlap all the same, each caller gets its own", () => {
    const config = run([
      ...tenants,
      policy("a/mine", "/chat", 1),
      policy("b/theirs", "/bots", 2, { anonymous: true }),
    ]).config;
    const theirs = config.routes.find(({ id }) => id === "b/theirs");
    assert.ok(theirs);
    for (const pathPrefix of ["/chat/v1", "/chat", "/chat/v1/chat"]) {
      const routes = config.routes.map((route) => (route === theirs ? { ...route, pathPrefix } : route));
      const snapshot = snapshotOf({ ...config, routes });
      assert.equal(servedBy(snapshot, holderOf("a"), "/chat/v1/chat/completions", "m"), "a/mine");
    }
  });
});
