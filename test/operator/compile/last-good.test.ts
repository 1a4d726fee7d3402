import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Compiled } from "../../../operator/compile/compile.ts";
import type { WorldObject } from "../../../operator/compile/world.ts";
import { canonicalJson } from "../../../proxy/config/encode.ts";
import { apiKey, policy, provider, reasons, run, verdict, world } from "./kit.ts";

describe("the last good form", () => {
  it("keeps the last good form of an object that became invalid, and of nothing that was deleted", () => {
    const good = run(world([provider("a/p"), policy("a/r"), apiKey("a/k")])).config;
    const broken = run(
      world([provider("a/p", { models: [] }), policy("a/r", { match: {} }), apiKey("a/k", { user: "" })]),
      good,
    );
    assert.equal(canonicalJson(broken.config), canonicalJson(good));
    for (const verdict of broken.verdicts) assert.equal(verdict.live, "lastGood");
    assert.deepEqual(run(world([]), good).config, { ...good, providers: [], routes: [], keys: [] });
  });

  it("keeps a provider whose Secret went missing, under the credential that it had", () => {
    const objects = [provider("a/p", { credentials: { secretRef: { name: "s" } } })];
    const good = run(world(objects)).config;
    const after = run(world(objects, { secrets: {} }), good);
    assert.deepEqual(after.config.providers, good.providers);
    assert.deepEqual(
      [verdict(after, "LLMProvider", "a/p").live, reasons(verdict(after, "LLMProvider", "a/p"))],
      ["lastGood", ["SecretNotFound"]],
    );
  });

  it("lets a revocation through even where the key's Secret is gone", () => {
    const good = run(world([apiKey("a/k")])).config;
    const after = run(world([apiKey("a/k", { revoked: true })], { secrets: {} }), good);
    assert.deepEqual(
      after.config.keys.map((record) => record.revoked),
      [true],
    );
  });

  const foreign = (name: string): WorldObject =>
    policy(name, { routing: { targets: [{ provider: { name: "p", namespace: "b" } }] } });
  const open = provider("b/p", { allowedNamespaces: { from: "All" } });
  const targetsOf = (compiled: Compiled): string[] =>
    compiled.config.routes.flatMap((route) => route.routing.targets.map((target) => target.provider));

  it("does not let a last good form outlive a grant that its owner took back", () => {
    const good = run(world([open, foreign("a/r")])).config;
    for (const after of [foreign("a/r"), { ...foreign("a/r"), spec: { match: {} } }]) {
      const compiled = run(world([provider("b/p"), after]), good);
      assert.deepEqual([targetsOf(compiled), verdict(compiled, "RoutingPolicy", "a/r").live], [[], "none"]);
    }
  });

  it("keeps serving policies that use a provider of another namespace when that provider becomes invalid", () => {
    const own = provider("a/own");
    const both = policy("a/r", {
      routing: { targets: [{ provider: { name: "p", namespace: "b" } }, { provider: { name: "own" } }] },
    });
    const good = run(world([open, own, both])).config;
    const compiled = run(
      world([
        provider("b/p", { modles: 1 }),
        own,
        both,
        { ...foreign("a/late"), meta: { ...foreign("a/late").meta, createdAtMs: 2 } },
      ]),
      good,
    );
    assert.equal(verdict(compiled, "RoutingPolicy", "a/r").live, "current");
    assert.deepEqual(compiled.config.routes.find((route) => route.id === "a/r")?.routing.targets.length, 2);
    assert.deepEqual(reasons(verdict(compiled, "RoutingPolicy", "a/late")), ["Conflicted", "ProviderNotReady"]);
  });

  it("does not call a last good form live that has no target left", () => {
    const good = run(world([provider("a/p"), policy("a/r")])).config;
    const rows: [string, WorldObject[]][] = [
      ["its provider is gone and the policy invalid", [policy("a/r", { match: {} })]],
      ["its provider is gone", [policy("a/r")]],
      ["its provider lost the model", [provider("a/p", { models: [{ name: "z" }] }), policy("a/r")]],
    ];
    for (const [why, objects] of rows) {
      const compiled = run(world(objects), good);
      assert.deepEqual([targetsOf(compiled), compiled.config.routes.length], [[], 1], why);
      assert.deepEqual(
        [verdict(compiled, "RoutingPolicy", "a/r").live, verdict(compiled, "RoutingPolicy", "a/r").status],
        ["none", { targets: 0 }],
        why,
      );
    }
  });

  it("lets a revocation through even in a spec that is invalid otherwise", () => {
    const good = run(world([apiKey("a/k")])).config;
    const after = run(world([apiKey("a/k", { revoked: true, modles: [] })]), good);
    assert.deepEqual(
      [after.config.keys.map((record) => record.revoked), verdict(after, "ApiKey", "a/k").live],
      [[true], "lastGood"],
    );
  });

  it("lets a nearer expiry through where the key's Secret is gone, and never a later one", () => {
    const good = run(world([apiKey("a/k", { expiresAt: "2027-01-01T00:00:00Z" })])).config;
    for (const [wanted, held] of [
      ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"],
      ["2028-01-01T00:00:00Z", "2027-01-01T00:00:00Z"],
    ]) {
      const after = run(world([apiKey("a/k", { expiresAt: wanted })], { secrets: {} }), good);
      assert.deepEqual(
        [after.config.keys[0]?.expiresAtMs, verdict(after, "ApiKey", "a/k").status["expiresAt"]],
        [Date.parse(held ?? ""), held],
      );
    }
  });
});
