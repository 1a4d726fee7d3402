import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SharedConditions } from "../../operator/cluster/shared-conditions.ts";

const conditions = (message: string): object[] => [{ type: "Ready", status: "True", message }, { type: "Stalled" }];

describe("conditions of statuses", () => {
  const shared = new SharedConditions();
  const first = { observedGeneration: 1, conditions: conditions("2/2 proxies") };

  it("are the same list where they are equal, and the rest of the status stays", () => {
    assert.deepEqual(shared.in(first), first);
    const second = { observedGeneration: 2, keyPrefix: "slc_ab", conditions: conditions("2/2 proxies") };
    const kept = shared.in(second) as typeof second;
    assert.deepEqual(kept, { observedGeneration: 2, keyPrefix: "slc_ab", conditions: first.conditions });
    assert.equal(kept.conditions, first.conditions);
  });

  for (const [what, status] of [
    ["other conditions", { conditions: conditions("1/2 proxies") }],
    ["the same conditions in another order", { conditions: conditions("2/2 proxies").reverse() }],
    ["no conditions", { observedGeneration: 1 }],
    ["conditions of another form", { conditions: "none" }],
    ["no status", undefined],
  ] as const)
    it(`are left as they are: ${what}`, () => assert.deepEqual(shared.in(status), status));
});
