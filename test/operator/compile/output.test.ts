import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Kind } from "../../../crds/kinds.ts";
import { type Compiled, compile } from "../../../operator/compile/compile.ts";
import type { World, WorldObject } from "../../../operator/compile/world.ts";
import { capabilitiesByType } from "../../../proxy/config/capabilities.generated.ts";
import { canonicalJson, encode } from "../../../proxy/config/encode.ts";
import { parseDocuments } from "../../../proxy/config/parse.ts";
import { keyShards, type RenderedConfig, settings as settingsSchema } from "../../../proxy/config/schema.ts";
import fc, { runs } from "../../harness/property.ts";
import { apiKey, digest, nowMs, object, policy, provider, reasons, run, settings, verdict, world } from "./kit.ts";

describe("compile", () => {
  const strange = (more: object) => ({ OpenAICompatible: { ...capabilitiesByType["OpenAICompatible"]!, ...more } });
  const withType = (more: object, objects: WorldObject[], secrets: World["secrets"] = {}): Compiled =>
    compile({ world: world(objects, { secrets }), settings, previous: null, nowMs }, strange(more));

  it("refuses a route that its provider's type could never serve", () => {
    const temperate = policy("a/r", { request: { overrides: { temperature: 0 } } });
    const rows: [object, Record<string, unknown>, WorldObject][] = [
      [{ passthrough: [], translated: [] }, {}, policy("a/r")],
      [{ parameters: { temperature: "refused" } }, {}, temperate],
      [{ parameters: { temperature: "dropped" } }, { unsupportedParameters: "Refuse" }, temperate],
    ];
    for (const [more, spec, route] of rows) {
      const found = verdict(withType(more, [provider("a/p", spec), route]), "RoutingPolicy", "a/r");
      assert.deepEqual([reasons(found), found.live], [["Unsupported"], "none"]);
    }
    const dropped = verdict(
      withType({ parameters: { temperature: "dropped" } }, [provider("a/p"), temperate]),
      "RoutingPolicy",
      "a/r",
    );
    assert.deepEqual([reasons(dropped), dropped.live], [[], "current"]);
  });

  it("asks for every field that a credential needs, though secretRef.key names the first", () => {
    const field = (name: string, required: boolean) => ({ name, required, description: "" });
    const credentials = [field("id", true), field("secret", true), field("session", false)];
    const objects = [provider("a/p", { credentials: { secretRef: { name: "s", key: "mine" } } })];
    const fact = (seed: string) => ({ digest: digest(seed), displayPrefix: "" });
    const half = verdict(withType({ credentials }, objects, { "a/s": { mine: fact("1") } }), "LLMProvider", "a/p");
    assert.deepEqual(
      [reasons(half), half.resolvedRefs[0]?.message],
      [["SecretKeyNotFound"], "Secret s has no key secret"],
    );
    const whole = withType({ credentials }, objects, {
      "a/s": { mine: fact("1"), secret: fact("2"), session: fact("3") },
    });
    assert.deepEqual(Object.keys(whole.config.providers[0]?.credentials ?? {}), ["id", "secret"]);
  });

  it("reports the endpoint that is in use, not the one that is wished for", () => {
    const good = run(world([provider("a/p")])).config;
    const wished = provider("a/p", {
      endpoint: "https://other.example.com",
      credentials: { secretRef: { name: "nope" } },
    });
    assert.deepEqual(verdict(run(world([wished]), good), "LLMProvider", "a/p").status, {
      models: 1,
      endpoint: "https://llm.example.com/v1",
    });
    assert.deepEqual(verdict(run(world([wished])), "LLMProvider", "a/p").status, { models: 0 });
  });

  it("renders a route without targets if no provider is left, so that callers get an explanation", () => {
    const { config } = run(world([policy("a/r")]));
    assert.deepEqual(
      config.routes.map((route) => route.routing.targets),
      [[]],
    );
  });

  it("counts a key's life from its creation and says when it is over", () => {
    const createdAtMs = Date.parse("2026-08-01T00:00:00Z");
    const compiled = run(world([apiKey("a/k", { expiresAfter: "90d" }, createdAtMs)]));
    const found = verdict(compiled, "ApiKey", "a/k");
    assert.equal(found.status["expiresAt"], "2026-10-30T00:00:00Z");
    assert.deepEqual(
      found.conditions.map((condition) => [condition.type, condition.status]),
      [["Expired", "True"]],
    );
    assert.equal(compiled.config.keys[0]?.expiresAtMs, Date.parse("2026-10-30T00:00:00Z"));
  });

  it("turns prices into nano-USD for a million tokens, exactly", () => {
    const { config } = run(
      world([
        provider("a/p", {
          models: [
            { name: "m", price: { inputPerMillion: "2.50", cachedInputPerMillion: "1.25", outputPerMillion: "10.00" } },
          ],
        }),
      ]),
    );
    assert.deepEqual(config.providers[0]?.models["m"]?.price, {
      input: 2_500_000_000,
      cachedInput: 1_250_000_000,
      cacheWrite: 2_500_000_000,
      output: 10_000_000_000,
      reasoning: 10_000_000_000,
      tiers: [],
      source: "override",
    });
  });

  it("gives the same bytes in whatever order the objects come", () => {
    const objects = [
      provider("a/p"),
      provider("b/p"),
      policy("a/r", {}, 3),
      policy("a/s", {}, 2),
      policy("b/r"),
      apiKey("a/k"),
      apiKey("a/l", {}, 2),
      provider("a/x", { models: 1 }),
    ];
    const expected = encode(run(world(objects)).config, "id");
    fc.assert(
      fc.property(fc.shuffledSubarray(objects, { minLength: objects.length }), (shuffled) => {
        assert.deepEqual(encode(run(world(shuffled)).config, "id"), expected);
      }),
    );
  });

  it("never throws, whatever a spec holds", () => {
    const anySpec = fc.oneof(
      fc.jsonValue(),
      fc.object({
        key: fc.constantFrom(
          "type",
          "models",
          "match",
          "routing",
          "targets",
          "provider",
          "user",
          "writeTo",
          "name",
          "request",
          "access",
          "amount",
        ),
        maxDepth: 4,
      }),
    );
    fc.assert(
      fc.property(fc.constantFrom<Kind>("LLMProvider", "RoutingPolicy", "Budget", "ApiKey"), anySpec, (kind, spec) => {
        run(world([object(kind, "a/x", spec)]));
      }),
      { numRuns: runs(500) },
    );
  });

  it("is read back as it was written", () => {
    const { config } = run(world([provider("a/p"), policy("a/r"), apiKey("a/k")]));
    const parsed = parseDocuments(encode(config, "id").documents);
    assert.ok(parsed.ok);
    assert.equal(canonicalJson(parsed.config), canonicalJson(config));
  });

  it("rewrites one shard of keys when one key of many changes, and keeps every document under 1 MiB at 50,000 keys", () => {
    const keys = Array.from({ length: 50_000 }, (_, at) => ({
      digest: Buffer.from(`${(at * 2_654_435_761) % 4_294_967_296}`.padStart(32, "7"))
        .toString("hex")
        .replace(/^.{4}/, (at % 65_536).toString(16).padStart(4, "0")),
      id: `team-${at % 100}/key-${at}`,
      user: `user-${at}@example.com`,
      team: "team",
      role: "developer",
      tags: ["internal"],
      models: null,
      expiresAtMs: nowMs,
      revoked: false,
    }));
    const config: RenderedConfig = {
      settings: settingsSchema.parse(settings.proxy),
      providers: [],
      routes: [],
      budgets: [],
      keys,
    };
    const before = encode(config, "id");
    const after = encode(
      { ...config, keys: keys.map((one, index) => (index === 7 ? { ...one, revoked: true } : one)) },
      "id",
    );
    const changed = Object.keys(before.documents).filter((name) => before.documents[name] !== after.documents[name]);
    assert.deepEqual(changed.map((name) => name.replace(/\d+/, "N")).sort(), ["keys-N.json", "manifest.json"]);
    assert.equal(Object.keys(before.documents).filter((name) => name.startsWith("keys-")).length, keyShards);
    for (const document of Object.values(before.documents)) assert.ok(Buffer.byteLength(document) < 1_000_000);
  });
});
