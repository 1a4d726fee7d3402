import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { outage, phases, replay } from "./scenario.ts";

describe("a primary provider on a bad day", () => {
  for (const seed of [1, 2, 3]) {
    it(`callers of the gateway don't notice, those of the provider do (seed ${seed})`, async () => {
      const { rows, total } = await replay(phases, seed);
      for (const row of [...rows, total])
        assert.ok(row.gateway >= 0.999 * row.calls, `${row.phase}: ${row.gateway} of ${row.calls}`);
      assert.ok(total.direct < 0.5 * total.calls, `${total.direct} of ${total.calls} without the gateway`);
      assert.ok(total.attempts < 1.2 * total.calls, `${total.attempts} attempts for ${total.calls} calls`);
    });
  }

  it("the primary is used as far as its limit allows", async () => {
    const { rows } = await replay(phases);
    const limited = rows[0];
    assert.ok(limited);
    const byPrimary = limited.gateway - limited.bySecondary;
    assert.ok(
      byPrimary >= 0.7 * 100 * 5 && byPrimary <= 100 * 6,
      `${byPrimary} calls in five minutes of at most 100 each`,
    );
  });

  it("the same seed gives the same run", async () => {
    assert.deepEqual(await replay(phases, 7), await replay(phases, 7));
  });

  it("is printed by its command", () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ["test/replay/run.ts"], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^all .* 9\d\.\d\d %|^all .* 100\.00 %/m);
  });
});

describe("every provider is down", () => {
  const eager = { retry: { attempts: 5, initialDelay: "100ms" } };

  it("breakers end the storm before it begins", async () => {
    const { total, upstreamCalls } = await replay(outage, 1, eager);
    assert.equal(total.gateway, 0);
    assert.ok(upstreamCalls.primary + upstreamCalls.secondary < 0.1 * total.calls, JSON.stringify(upstreamCalls));
  });

  it("and where no breaker opens, the retry budget holds: a fifth of the requests, or one a second", async () => {
    // Short enough that the highest threshold isn't reached.
    const short = outage.map((phase) => ({ ...phase, minutes: 2 }));
    const { total, upstreamCalls } = await replay(short, 1, { ...eager, circuitBreaker: { failureThreshold: 1000 } });
    const seconds = 2 * 60;
    // A window of ten seconds may be used up twice within eleven.
    const most = total.calls + 1.2 * Math.max(0.25 * total.calls, seconds);
    for (const [name, calls] of Object.entries(upstreamCalls))
      assert.ok(calls <= most, `${calls} attempts at the ${name} for ${total.calls} calls`);
    assert.ok(upstreamCalls.primary > total.calls, "some were tried again");
  });
});
