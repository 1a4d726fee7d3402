import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Registry } from "prom-client";
import type { Verdict } from "../../operator/compile/verdict.ts";
import type { WorldObject } from "../../operator/compile/world.ts";
import { ObjectMetrics } from "../../operator/object-metrics.ts";
import { RolloutClock } from "../../operator/rollout-clock.ts";

const condition = (type: string, status: string, observedGeneration = 1, reason = "R") => ({
  type,
  status,
  reason,
  message: "",
  lastTransitionTime: "2027-01-01T00:00:00Z",
  observedGeneration,
});
const object = (kind: WorldObject["kind"], name: string, ...conditions: object[]): WorldObject => ({
  kind,
  meta: { namespace: "shop", name, generation: 1 } as WorldObject["meta"],
  spec: {},
  status: { conditions },
});

async function shown(objects: readonly WorldObject[], verdicts: readonly Verdict[] = []): Promise<string[]> {
  const registry = new Registry();
  new ObjectMetrics(registry).seen(objects, verdicts);
  return (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

describe("metrics of objects", () => {
  it("have the present status of every condition of this generation, and of no other", async () => {
    const lines = await shown([
      object("LLMProvider", "up", condition("Accepted", "True"), condition("Healthy", "Unknown")),
      object("Budget", "team", condition("Exceeded", "True"), condition("Accepted", "True", 0)),
      { ...object("ApiKey", "ann"), status: {} },
    ]);
    const labels = (kind: string, name: string, type: string, status: string) =>
      `sluice_object_condition{kind="${kind}",namespace="shop",name="${name}",type="${type}",status="${status}"} 1`;
    assert.deepEqual(
      new Set(lines.filter((line) => line.startsWith("sluice_object_condition{"))),
      new Set([
        labels("LLMProvider", "up", "Accepted", "True"),
        labels("LLMProvider", "up", "Healthy", "Unknown"),
        labels("Budget", "team", "Exceeded", "True"),
      ]),
    );
    assert.ok(lines.includes("sluice_object_conditions_hidden 0"));
  });

  it("show problems first where there are too many, and say how many are hidden", async () => {
    const many = Array.from({ length: 12_000 }, (_, index) =>
      object("ApiKey", `key-${index}`, condition("Accepted", index === 11_999 ? "False" : "True")),
    );
    const lines = await shown(many);
    assert.equal(lines.filter((line) => line.startsWith("sluice_object_condition{")).length, 10_000);
    assert.ok(lines.some((line) => line.includes('name="key-11999"') && line.includes('status="False"')));
    assert.ok(lines.includes("sluice_object_conditions_hidden 2000"));
  });

  it("have the phase of each canary", async () => {
    const verdict = {
      kind: "RoutingPolicy",
      meta: { namespace: "shop", name: "chat" },
      status: { canary: { phase: "RolledBack", target: "new", requests: 12 } },
    } as unknown as Verdict;
    const lines = await shown([], [verdict]);
    assert.ok(lines.includes('sluice_canary_phase{namespace="shop",policy="chat",target="new",phase="RolledBack"} 1'));
    assert.ok(lines.includes('sluice_canary_requests{namespace="shop",policy="chat",target="new"} 12'));
  });
});

describe("the time from a change until every proxy serves it", () => {
  it("counts from the first change that a pass read, once", () => {
    const clock = new RolloutClock();
    clock.changed(100);
    clock.changed(150);
    clock.published(clock.reads(200));
    assert.equal(clock.liveMs(700), 600);
    assert.equal(clock.liveMs(900), null);
  });

  it("goes on where a second change is published before the first is live", () => {
    const clock = new RolloutClock();
    clock.changed(100);
    clock.published(clock.reads(110));
    clock.changed(300);
    clock.published(clock.reads(310));
    assert.equal(clock.liveMs(1_100), 1_000);
  });

  it("is not measured where nothing was written", () => {
    const clock = new RolloutClock();
    clock.changed(100);
    clock.reads(110);
    assert.equal(clock.liveMs(500), null);
  });
});
