import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Outages } from "../../operator/outages.ts";

const minute = 60_000;

describe("failures that are worth a line of the log", () => {
  it("are the first of an outage, one every five minutes, and its end", () => {
    const outages = new Outages();
    const logged: [minutes: number, attempts: number][] = [];
    for (let nowMs = 0; nowMs < 12 * minute; nowMs += 30_000) {
      const failed = outages.failed("/api/v1/namespaces", 403, nowMs);
      if (failed !== null) logged.push([nowMs / minute, failed.attempts]);
    }
    assert.deepEqual(logged, [
      [0, 1],
      [5, 11],
      [10, 21],
    ]);
    assert.deepEqual(outages.ended("/api/v1/namespaces", 12 * minute), { attempts: 24, forSeconds: 720 });
    assert.equal(outages.ended("/api/v1/namespaces", 12 * minute), null);
    assert.equal(outages.failed("/api/v1/namespaces", 403, 12 * minute)?.attempts, 1);
  });

  for (const [what, path, status, atMs] of [
    ["of another list", "/other", 403, 1_000],
    ["for another reason", "/one", 500, 1_000],
    ["after a long time", "/one", 403, 10 * minute],
  ] as const)
    it(`are those ${what}`, () => {
      const outages = new Outages();
      outages.failed("/one", 403, 0);
      assert.deepEqual(outages.failed(path, status, atMs), { attempts: 1, forSeconds: 0 });
    });

  it("are remembered for no more than a thousand lists", () => {
    const outages = new Outages();
    for (let at = 0; at < 3_000; at++) outages.failed(`/${at}`, 403, 0);
    assert.equal(outages.ended("/0", 0), null);
    assert.equal(outages.ended("/2999", 0)?.attempts, 1);
  });
});
