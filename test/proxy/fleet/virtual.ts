/** Virtual time, and a store that loses requests, answers and its memory. */

import type { Clock } from "../../../proxy/clock.ts";
import { MemoryStore } from "../../../proxy/fleet/memory.ts";
import {
  type FleetStore,
  type Growth,
  NotConnected,
  recoveryMs,
  type StoreOp,
  type StoreReply,
} from "../../../proxy/fleet/store.ts";

export class VirtualTime {
  #nowMs: number;
  #timers: { atMs: number; then: () => void }[] = [];

  constructor(nowMs = 1_000_000) {
    this.#nowMs = nowMs;
  }

  nowMs = (): number => this.#nowMs;

  /** The clock of one process, which may be wrong. */
  clock(offMs = 0): Clock {
    return {
      nowMs: () => this.#nowMs + offMs,
      after: (ms, then) => {
        const timer = { atMs: this.#nowMs + ms, then };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((one) => one !== timer);
        };
      },
    };
  }

  #next(endMs: number): { atMs: number; then: () => void } | undefined {
    const due = this.#timers.filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
    if (due !== undefined) this.#timers = this.#timers.filter((timer) => timer !== due);
    return due;
  }

  /** Moves on without letting promises run: enough where the store answers at once. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (let due = this.#next(endMs); due !== undefined; due = this.#next(endMs)) {
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.then();
    }
    this.#nowMs = endMs;
  }

  /** Moves on as for a process that was suspended: what became due meanwhile runs once, with the next move. */
  skip(ms: number): void {
    this.#nowMs += ms;
  }

  /** Moves on, with promises. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await new Promise((resolve) => setImmediate(resolve));
    for (let due = this.#next(endMs); due !== undefined; due = this.#next(endMs)) {
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.then();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#nowMs = endMs;
  }
}

/** What happens to the next exchanges with the store. */
export type Weather = "fair" | "request lost" | "answer lost" | "sent twice" | "down";

export class RoughStore implements Pick<FleetStore, "sync" | "heartbeat" | "run" | "noteInUse"> {
  #inner: MemoryStore;
  readonly #nowMs: () => number;
  weather: Weather = "fair";
  #youngUntilMs = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#inner = new MemoryStore(nowMs);
  }

  /** Everything it knew is gone. As Redis does, it knows of itself that it began a moment ago, and waits for reports. */
  forget(): void {
    this.#inner = new MemoryStore(this.#nowMs);
    this.#youngUntilMs = this.#nowMs() + recoveryMs;
  }

  #sync(holder: string, ops: readonly StoreOp[]): StoreReply[] {
    if (this.#nowMs() >= this.#youngUntilMs) return this.#inner.sync(holder, ops);
    const replies = this.#inner.sync(
      holder,
      ops.map((op) => (op.kind === "period" && op.limit !== null ? { ...op, need: 0, least: 0, want: 0 } : op)),
    );
    return replies.map((reply) => (reply.kind === "lease" ? { ...reply, recovering: true } : reply));
  }

  async sync(holder: string, ops: readonly StoreOp[]): Promise<StoreReply[]> {
    await null;
    const { weather } = this;
    if (weather === "down") throw new NotConnected();
    if (weather === "request lost") throw new Error(weather);
    const replies = this.#sync(holder, ops);
    if (weather === "answer lost") throw new Error(weather);
    return weather === "sent twice" ? this.#sync(holder, ops) : replies;
  }

  noteInUse(holder: string, grown: readonly Growth[]): void {
    if (this.weather !== "down" && this.weather !== "request lost") this.#inner.noteInUse(holder, grown);
  }

  get run(): string {
    return this.#inner.run;
  }

  async heartbeat(holder: string): Promise<number> {
    await null;
    if (this.weather === "down") throw new Error("down");
    return this.#inner.heartbeat(holder);
  }
}
