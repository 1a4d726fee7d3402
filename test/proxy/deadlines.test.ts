/** Many deadlines that share one timer expire when each would have expired alone. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Deadlines, type Timed } from "../../proxy/wire/deadlines.ts";
import { HandClock } from "../harness/hand-clock.ts";
import fc from "../harness/property.ts";

class Call implements Timed {
  place = -1;
  dueMs = 0;
  readonly expiredAt: number[] = [];
  readonly #clock: HandClock;
  readonly #then: () => void;

  constructor(clock: HandClock, then: () => void = () => undefined) {
    this.#clock = clock;
    this.#then = then;
  }

  expired(): void {
    this.expiredAt.push(this.#clock.now);
    this.#then();
  }
}

describe("deadlines", () => {
  it("expire once, when they are due, unless they were cleared", () => {
    const step = fc.record({ what: fc.constantFrom("set", "lift", "wait"), which: fc.nat(5), ms: fc.nat(50) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const clock = new HandClock();
        const deadlines = new Deadlines(clock);
        const calls = Array.from({ length: 6 }, () => new Call(clock));
        const wanted = calls.map((): number[] => []);
        const limits = calls.map((): number | null => null);
        const wait = (ms: number): void => {
          clock.advance(ms);
          for (const [index, limit] of limits.entries()) {
            if (limit === null || limit > clock.now) continue;
            wanted[index]?.push(limit);
            limits[index] = null;
          }
        };
        for (const { what, which, ms } of steps) {
          const call = calls[which] as Call;
          if (what === "set") deadlines.set(call, (limits[which] = clock.now + ms));
          if (what === "lift") deadlines.lift(call);
          if (what === "lift") limits[which] = null;
          if (what === "wait") wait(ms);
        }
        wait(100);
        assert.deepEqual(
          calls.map(({ expiredAt }) => expiredAt),
          wanted,
        );
        assert.equal(clock.timer, null, "a timer for nobody");
      }),
    );
  });

  it("can be set or cleared from the callback of an expired deadline", () => {
    const clock = new HandClock();
    const deadlines = new Deadlines(clock);
    const other = new Call(clock);
    let again = 2;
    const call: Call = new Call(clock, () => {
      deadlines.lift(other);
      if (again-- > 0) deadlines.set(call, clock.now + 10);
    });
    deadlines.set(call, 10);
    deadlines.set(other, 10);
    clock.advance(100);
    assert.deepEqual([call.expiredAt, other.expiredAt], [[10, 20, 30], []]);
  });

  it("that are postponed, as by each chunk of a stream, create no timers", () => {
    const clock = new HandClock();
    const deadlines = new Deadlines(clock);
    const call = new Call(clock);
    for (let at = 0; at < 1000; at++) {
      deadlines.set(call, clock.now + 10_000);
      clock.advance(1);
    }
    assert.equal(clock.timers, 1);
  });

  it("in the far future don't overflow the timer", () => {
    const clock = new HandClock();
    const deadlines = new Deadlines(clock);
    const call = new Call(clock);
    deadlines.set(call, 2 ** 33);
    clock.advance(2 ** 33 - 1);
    assert.deepEqual(call.expiredAt, []);
    clock.advance(1);
    assert.deepEqual(call.expiredAt, [2 ** 33]);
  });
});
