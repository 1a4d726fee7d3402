/** When sessions began, as several proxies know it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Clock } from "../../../proxy/clock.ts";
import { MemoryStore } from "../../../proxy/fleet/memory.ts";
import { SessionTimes } from "../../../proxy/fleet/session-times.ts";
import type { FleetStore } from "../../../proxy/fleet/store.ts";

const minute = 60_000;
const hour = 60 * minute;

/** One store and the proxies that share it; `reply` is how the store answers. */
class Fleet {
  nowMs = 1_000_000;
  lost = false;
  calls = 0;
  run = "1";
  late: (() => void)[] = [];
  memory = new MemoryStore(() => this.nowMs);
  reply: (age: number) => number | Promise<number> = (age) => age;
  readonly clock: Clock = {
    nowMs: () => this.nowMs,
    after: (_ms, then) => {
      this.late.push(then);
      return () => undefined;
    },
  };

  proxy(): SessionTimes {
    const store: Pick<FleetStore, "age" | "run"> = {
      age: (...args) => {
        this.calls++;
        return this.reply(this.memory.age(...args));
      },
      get run() {
        return fleetRun();
      },
    };
    const fleetRun = (): string => this.run;
    return new SessionTimes(store, this.clock, { deadlineMs: 50, isLost: () => this.lost });
  }

  forget(): void {
    this.memory = new MemoryStore(() => this.nowMs);
    this.run += "+";
  }
}

describe("the time since a session's first call", () => {
  it("is the same for all proxies, and asked for once an hour", async () => {
    const fleet = new Fleet();
    const [first, second] = [fleet.proxy(), fleet.proxy()];
    assert.equal(await first.age("s"), 0);
    for (let minutes = 1; minutes < 60; minutes++) {
      fleet.nowMs += minute;
      assert.equal(await first.age("s"), minutes * minute);
    }
    assert.equal(fleet.calls, 1);
    assert.equal(await second.age("s"), 59 * minute);
    assert.equal(await second.age("other"), 0);
    fleet.nowMs += minute;
    assert.equal(await first.age("s"), hour);
    assert.equal(fleet.calls, 4);
  });

  it("goes on while calls come, and begins again after a day without one", async () => {
    const fleet = new Fleet();
    const proxy = fleet.proxy();
    for (let hours = 0; hours < 60; hours += 12) {
      assert.equal(await proxy.age("s"), hours * hour);
      fleet.nowMs += 12 * hour;
    }
    fleet.nowMs += 14 * hour;
    assert.equal(await proxy.age("s"), 0);
  });

  it("is given back to a store that has lost its memory", async () => {
    const fleet = new Fleet();
    const [first, second] = [fleet.proxy(), fleet.proxy()];
    await first.age("s");
    fleet.nowMs += 10 * minute;
    fleet.forget();
    assert.equal(await first.age("s"), 10 * minute);
    assert.equal(await second.age("s"), 10 * minute);
  });

  it("is what a proxy knows while the store can't be reached, and counts from then on for a new session", async () => {
    const fleet = new Fleet();
    const proxy = fleet.proxy();
    await proxy.age("s");
    fleet.nowMs += 5 * minute;
    fleet.lost = true;
    assert.equal(await proxy.age("s"), 5 * minute);
    assert.equal(await proxy.age("new"), null);
    proxy.beginAlone("new");
    fleet.nowMs += minute;
    assert.equal(await proxy.age("new"), minute);
    fleet.lost = false;
    for (const reply of [() => Promise.reject(new Error("gone")), () => assert.fail("gone")]) {
      fleet.reply = reply;
      assert.equal(await proxy.age("new"), minute);
      assert.equal(await proxy.age("third"), null);
    }
    fleet.reply = (age) => age;
    assert.equal(await proxy.age("new"), minute);
    assert.equal(await fleet.proxy().age("new"), minute);
  });

  it("doesn't wait for a store that is late", async () => {
    const fleet = new Fleet();
    fleet.reply = () => new Promise(() => undefined);
    const age = fleet.proxy().age("s");
    for (const then of fleet.late) then();
    assert.equal(await age, null);
  });
});
