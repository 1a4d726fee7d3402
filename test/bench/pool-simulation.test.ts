/** The choice by prefix is worth its name: on simulated servers, with the proxy's own choice. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Scene, simulate, usualScene } from "./pool-simulation.ts";

describe("the choice of a pool's server by prefix", () => {
  const scenes: Record<string, Scene> = {
    "the usual scene": { ...usualScene, conversations: 600 },
    "few servers": { ...usualScene, servers: 3, arrivals: 0.7, conversations: 400 },
    "many servers": { ...usualScene, servers: 24, arrivals: 6, conversations: 900 },
    "large caches": { ...usualScene, cacheTokens: 2_000_000, conversations: 600 },
  };
  for (const [name, scene] of Object.entries(scenes))
    it(`finds more of a prompt in the cache than round robin, and answers sooner: ${name}`, () => {
      const [byPrefix, inTurn] = [simulate("Prefix", scene), simulate("RoundRobin", scene)];
      assert.ok(byPrefix.hitRatio > inTurn.hitRatio + 0.1, `${byPrefix.hitRatio} and ${inTurn.hitRatio}`);
      assert.ok(byPrefix.firstTokenMedian < inTurn.firstTokenMedian / 2);
      assert.ok(byPrefix.firstTokenP95 < inTurn.firstTokenP95);
    });

  it("is the same in every run", () => {
    const scene = { ...usualScene, conversations: 100 };
    assert.deepEqual(simulate("Prefix", scene, 7), simulate("Prefix", scene, 7));
  });
});
