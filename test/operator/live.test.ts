/** A command that waits for its change: it ends when the change is live, and at once when it never will be. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type StoredObject, waitUntil } from "../../cli/live.ts";
import type { Cluster } from "../../operator/cluster/api.ts";

const at = { name: "rate-limit-bob", namespace: "team-a" };
const condition = (type: string, status: string, observedGeneration: number, message = "") => ({
  type,
  status,
  reason: type,
  message,
  observedGeneration,
});

/** Answers with each state in turn, and then with the last. */
function clusterWith(states: NonNullable<StoredObject["status"]>[]): Cluster {
  const left = [...states];
  const getNamespacedCustomObject = (): Promise<StoredObject> =>
    Promise.resolve({
      metadata: { ...at, generation: 2 },
      status: left.length > 1 ? left.shift() : left[0],
    } as StoredObject);
  return { custom: { getNamespacedCustomObject } } as unknown as Cluster;
}

describe("waiting for a change", () => {
  it("ends when it is live", () =>
    waitUntil(
      clusterWith([
        { conditions: [condition("Programmed", "True", 1)] },
        { conditions: [condition("Programmed", "True", 2)] },
      ]),
      "Budget",
      at,
      30,
    ));

  it("ends at once when the object is refused, and says why", async () => {
    const refused = clusterWith([
      { conditions: [condition("Accepted", "False", 2, "spec.limits[0].window is longer than 31 days")] },
    ]);
    const began = performance.now();
    await assert.rejects(
      waitUntil(refused, "Budget", at, 30),
      /Budget team-a\/rate-limit-bob is there, and not accepted: spec\.limits\[0\]\.window is longer/,
    );
    assert.ok(performance.now() - began < 10_000);
  });

  it("does not take what was said of an earlier form for an answer", () =>
    waitUntil(
      clusterWith([
        { conditions: [condition("Accepted", "False", 1, "old")] },
        { conditions: [condition("Accepted", "True", 2), condition("Programmed", "True", 2)] },
      ]),
      "Budget",
      at,
      30,
    ));
});
