import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Compiled } from "../../../operator/compile/compile.ts";
import type { WorldObject } from "../../../operator/compile/world.ts";
import { checkRows, policy, provider, type Row, run, world } from "./kit.ts";

const meaning = (
  more: Record<string, unknown> = {},
  embeddings: Record<string, unknown> = {},
): Record<string, unknown> => ({
  cache: {
    semantic: { embeddings: { provider: { name: "v" }, model: "e", ...embeddings }, threshold: "0.95", ...more },
  },
});
const vectors = (id: string, spec: Record<string, unknown> = {}): WorldObject =>
  provider(id, { models: [{ name: "e" }], ...spec });

const rows: Row[] = [
  {
    name: "a cache by meaning with its provider of embeddings is live",
    objects: [provider("a/p"), vectors("a/v"), policy("a/r", meaning())],
    of: ["RoutingPolicy", "a/r"],
    reasons: [],
    live: "current",
  },
  ...(
    [
      ["is nowhere", [], {}, {}, "ProviderNotFound", /LLMProvider v is not in namespace a/],
      ["lacks the model", [provider("a/v")], {}, {}, "ModelNotFound", /has no model e; it has m/],
      [
        "is of a type without embeddings",
        [vectors("a/v", { type: "Anthropic", endpoint: undefined })],
        {},
        {},
        "ProviderNotReady",
        /not usable/,
      ],
      [
        "is of a type without embeddings, but else fine",
        [vectors("a/v", { type: "Anthropic", credentials: { secretRef: { name: "s" } } })],
        {},
        {},
        "Unsupported",
        /type Anthropic .* has no embeddings; name a provider that has/,
      ],
      [
        "is another namespace's",
        [vectors("b/v")],
        { namespace: "b" },
        {},
        "RefNotPermitted",
        /does not allow namespace a/,
      ],
      [
        "processes data elsewhere",
        [vectors("a/v", { region: "us" })],
        {},
        { residency: { regions: ["eu"] } },
        "NotResident",
        /processes data in us/,
      ],
      [
        "does not say where it processes data",
        [vectors("a/v")],
        {},
        { residency: { regions: ["eu"] } },
        "NotResident",
        /also to the provider of embeddings/,
      ],
    ] as const
  ).map(
    ([what, objects, ref, access, reason, message]): Row => ({
      name: `without a cache by meaning, but with the rest of the policy, where the provider of embeddings ${what}`,
      objects: [
        provider("a/p", { region: "eu" }),
        ...objects,
        policy("a/r", { ...meaning({}, { provider: { name: "v", ...ref } }), access }),
      ],
      of: ["RoutingPolicy", "a/r"],
      reasons: [reason],
      live: "partial",
      message,
    }),
  ),
];

describe("a cache by meaning", () => {
  checkRows(rows);

  const semanticOf = (compiled: Compiled) => compiled.config.routes[0]?.cache?.semantic;
  const live = [provider("a/p", { region: "eu" }), vectors("a/v", { region: "eu" })];

  it("is compiled to what the proxy looks up by", () => {
    const compiled = run(world([...live, policy("a/r", meaning({ mode: "Shadow", timeout: "2s", maxEntries: 7 }))]));
    assert.deepEqual(semanticOf(compiled), {
      provider: "a/v",
      model: "e",
      threshold: 0.95,
      shadow: true,
      timeoutMs: 2_000,
      maxEntries: 7,
    });
  });

  it("is absent where equal calls are all that is asked for, and where the provider can't be used", () => {
    assert.equal(semanticOf(run(world([...live, policy("a/r", { cache: {} })]))), null);
    assert.equal(semanticOf(run(world([provider("a/p"), policy("a/r", meaning())]))), null);
  });

  it("does not come back as a last good form where residency, the grant or the model has gone", () => {
    const good = [
      provider("a/p", { region: "eu" }),
      vectors("b/v", { region: "us", allowedNamespaces: { from: "All" } }),
    ];
    const spec = meaning({}, { provider: { name: "v", namespace: "b" } });
    const before = run(world([...good, policy("a/r", spec)])).config;
    assert.equal(before.routes[0]?.cache?.semantic?.provider, "b/v");
    // A mistake elsewhere in the policy brings its last good form back.
    const broken = (access: Record<string, unknown> = {}) =>
      policy("a/r", {
        ...spec,
        access,
        routing: { targets: [{ provider: { name: "p" } }, { provider: { name: "p" } }] },
      });
    const after = (objects: WorldObject[]) => semanticOf(run(world(objects), before));
    assert.equal(after([...good, broken()])?.provider, "b/v");
    assert.equal(after([...good, broken({ residency: { regions: ["eu"] } })]), null);
    assert.equal(after([provider("a/p", { region: "eu" }), vectors("b/v", { region: "us" }), broken()]), null);
    assert.equal(
      after([provider("a/p", { region: "eu" }), provider("b/v", { allowedNamespaces: { from: "All" } }), broken()]),
      null,
    );
    assert.equal(after([provider("a/p", { region: "eu" }), broken()]), null);
  });
});
