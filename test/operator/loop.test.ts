/** When passes begin. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Loop } from "../../operator/loop.ts";
import { restAfter } from "../../operator/reconcile.ts";

describe("the loop that publishes", () => {
  it("gathers changes while it rests", async () => {
    const order: string[] = [];
    const loopOf = (name: string, rested: () => void): Loop =>
      new Loop(
        async () => {
          order.push(name);
          rested();
          return true;
        },
        3_600_000,
        () => undefined,
      );
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const resting = loopOf("resting", resolve);
    const other = loopOf("other", () => undefined);
    resting.rest(500);
    for (let change = 0; change < 3; change++) resting.trigger();
    other.trigger();
    await over;
    await Promise.all([resting.stop(), other.stop()]);
    assert.deepEqual(order, ["other", "resting"]);
  });

  for (const [what, published, restMs] of [
    ["one change", { publishMs: 300, unfinished: false, publication: { written: 2 } }, 0],
    ["nothing", { publishMs: 5, unfinished: false, publication: { written: 0 } }, 0],
    ["a part of a sync", { publishMs: 300, unfinished: false, publication: { written: 33 } }, 300],
    ["a part of a sync, slowly", { publishMs: 30_000, unfinished: false, publication: { written: 33 } }, 2_000],
    ["a part of many new keys", { publishMs: 300, unfinished: true, publication: { written: 33 } }, 0],
  ] as const)
    it(`rests for ${restMs} ms after ${what}`, () => {
      assert.equal(restAfter(published), restMs);
    });
});
