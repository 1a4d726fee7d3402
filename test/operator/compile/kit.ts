/** Objects to compile, and tables of what comes of them. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { Kind } from "../../../crds/kinds.ts";
import { type Compiled, compile } from "../../../operator/compile/compile.ts";
import type { Verdict } from "../../../operator/compile/verdict.ts";
import type { CompileInput, CompileSettings, World, WorldObject } from "../../../operator/compile/world.ts";
import { capabilitiesByType } from "../../../proxy/config/capabilities.generated.ts";
import type { RenderedConfig } from "../../../proxy/config/schema.ts";

export const nowMs = Date.parse("2026-11-20T12:00:00Z");
export const settings: CompileSettings = { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: ["platform"] };
export const digest = (seed: string): string => Buffer.from(seed.padEnd(32, "0")).toString("hex").slice(0, 64);

export function object(kind: Kind, id: string, spec: unknown, createdAtMs = 1): WorldObject {
  const [namespace = "", name = ""] = id.split("/");
  return { kind, meta: { name, namespace, uid: id, generation: 1, createdAtMs, labels: {} }, spec, status: {} };
}

export const provider = (id: string, spec: Record<string, unknown> = {}, createdAtMs = 1): WorldObject =>
  object(
    "LLMProvider",
    id,
    { type: "OpenAICompatible", endpoint: "https://llm.example.com/v1", models: [{ name: "m" }], ...spec },
    createdAtMs,
  );
export const policy = (id: string, spec: Record<string, unknown> = {}, createdAtMs = 1): WorldObject =>
  object(
    "RoutingPolicy",
    id,
    { match: { models: ["m"] }, routing: { targets: [{ provider: { name: "p" } }] }, ...spec },
    createdAtMs,
  );
export const apiKey = (id: string, spec: Record<string, unknown> = {}, createdAtMs = 1): WorldObject =>
  object("ApiKey", id, { user: "u", writeTo: { name: "s" }, ...spec }, createdAtMs);

export function world(objects: WorldObject[], more: Partial<World> = {}): World {
  return {
    objects,
    namespaces: { a: {}, b: { tier: "gold" }, platform: {} },
    secrets: { "a/s": { apiKey: { digest: digest("one"), displayPrefix: "slc_one0" } } },
    ...more,
  };
}

export function run(input: World, previous: RenderedConfig | null = null, more: Partial<CompileInput> = {}): Compiled {
  return compile({ world: input, settings, previous, nowMs, ...more }, capabilitiesByType);
}

export function verdict(compiled: Compiled, kind: Kind, id: string): Verdict {
  const found = compiled.verdicts.find(
    (verdict) => verdict.kind === kind && `${verdict.meta.namespace}/${verdict.meta.name}` === id,
  );
  assert.ok(found, `${kind} ${id} has a verdict`);
  return found;
}

export const reasons = (verdict: Verdict): string[] =>
  [...verdict.accepted, ...verdict.resolvedRefs].map((problem) => problem.reason);

export interface Row {
  name: string;
  objects: WorldObject[];
  more?: Partial<World>;
  of: [Kind, string];
  reasons: string[];
  live: Verdict["live"];
  message?: RegExp;
}

/** One test for each row. */
export function checkRows(rows: readonly Row[]): void {
  for (const row of rows) {
    it(row.name, () => {
      const compiled = verdict(run(world(row.objects, row.more)), ...row.of);
      assert.deepEqual([reasons(compiled), compiled.live], [row.reasons, row.live]);
      if (row.message)
        assert.match(
          [...compiled.accepted, ...compiled.resolvedRefs].map((one) => one.message).join("\n"),
          row.message,
        );
    });
  }
}
