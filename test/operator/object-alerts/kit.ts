/** Providers and policies with alerts, and what proxies report of them. */
import assert from "node:assert/strict";
import { compile } from "../../../operator/compile/compile.ts";
import type { ProviderReport } from "../../../operator/compile/health.ts";
import type { ObjectAlertWatch } from "../../../operator/compile/object-alerts.ts";
import type { WorldObject } from "../../../operator/compile/world.ts";
import { capabilitiesByType } from "../../../proxy/config/capabilities.generated.ts";
import type { WatchReading } from "../../../proxy/config/watch.ts";

export const digest = "d".repeat(64);
export const other = "e".repeat(64);
export const fact = { digest, displayPrefix: "" };
export type Spec = Record<string, unknown>;

export const object = (
  kind: "LLMProvider" | "RoutingPolicy",
  spec: Spec,
  status: unknown = {},
  annotations: Record<string, string> = {},
): WorldObject => ({
  kind,
  meta: {
    name: kind === "LLMProvider" ? "p" : "r",
    namespace: "a",
    uid: kind,
    generation: 1,
    createdAtMs: 0,
    labels: {},
    annotations,
  },
  spec,
  status,
});
export const provider = (more: Spec, ...rest: [status?: unknown, annotations?: Record<string, string>]): WorldObject =>
  object(
    "LLMProvider",
    { type: "OpenAICompatible", endpoint: "https://llm.example.com", models: [{ name: "m" }], ...more },
    ...rest,
  );
export const policy = (more: Spec, ...rest: [status?: unknown, annotations?: Record<string, string>]): WorldObject =>
  object(
    "RoutingPolicy",
    { match: { models: ["m"] }, routing: { targets: [{ provider: { name: "p" } }] }, ...more },
    ...rest,
  );
export const compiled = (objects: WorldObject[], hasMail = true) =>
  compile(
    {
      world: {
        objects,
        namespaces: { a: {} },
        secrets: { "a/alerts": { url: fact, key: { digest: other, displayPrefix: "" } } },
      },
      settings: { proxy: { maxBodyBytes: 1024 }, sharingNamespaces: [], hasMail },
      previous: null,
      nowMs: 0,
    },
    capabilitiesByType,
  );
export const watchOf = (one: WorldObject): ObjectAlertWatch => {
  const [watch] = compiled([one]).alertWatches;
  assert.ok(watch);
  return watch;
};

export const none = { calls: 0, errors: 0, moved: 0, opened: 0, timed: 0, slow: 0, firstTokens: 0, late: 0 };
export const reading = (watch: ObjectAlertWatch, counts: Partial<WatchReading["counts"]>): WatchReading => ({
  kind: watch.kind,
  id: watch.id,
  config: watch.counting,
  counts: { ...none, ...counts },
});
export const report = (healthy: boolean | null, open: string[] = [], reason: string | null = null) =>
  new Map<string, ProviderReport>([["a/p", { healthy, reason, open, causes: new Map(), refused: [] }]]);
