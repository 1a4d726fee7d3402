import assert from "node:assert/strict";
import type { DeadlineClock } from "../../proxy/wire/deadlines.ts";

/** Time that only moves when told to; holds at most one timer. */
export class HandClock implements DeadlineClock {
  now = 0;
  timer: { dueMs: number; then: () => void } | null = null;
  timers = 0;

  nowMs(): number {
    return this.now;
  }

  after(ms: number, then: () => void): () => void {
    assert.equal(this.timer, null, "a second timer");
    assert.ok(Number.isInteger(ms) && ms >= 0 && ms < 2 ** 31);
    this.timers++;
    const timer = { dueMs: this.now + ms, then };
    this.timer = timer;
    return () => {
      if (this.timer === timer) this.timer = null;
    };
  }

  advance(ms: number): void {
    const end = this.now + ms;
    while (this.timer !== null && this.timer.dueMs <= end) {
      this.now = Math.max(this.now, this.timer.dueMs);
      const { then } = this.timer;
      this.timer = null;
      then();
    }
    this.now = end;
  }
}
