/**
 * Copies of answered calls to their policy's shadow. A copy begins once its call is over, so that the caller neither
 * waits for it nor shares its errors. What doesn't fit within the bounds is dropped, and counted.
 */
import type { ShadowDrop } from "../config/shadow-report.ts";
import { AnswerTap } from "../shadow/answer-tap.ts";
import { ShadowRoom } from "../shadow/room.ts";
import type { Shadow } from "../snapshot/snapshot.ts";
import type { CopyWith, ShadowCall, ShadowRecorder } from "./shadow-call.ts";
import { ShadowCopy } from "./shadow-copy.ts";

export class Shadows {
  readonly room: ShadowRoom;
  readonly recorder: ShadowRecorder;
  readonly #running = new Set<ShadowCopy>();
  #stopped = false;

  constructor(recorder: ShadowRecorder, room = new ShadowRoom()) {
    this.recorder = recorder;
    this.room = room;
  }

  /** Decides whether to copy a call. Call `over` on the result once the call is recorded. */
  sample(call: ShadowCall, shadow: Shadow, gateway: CopyWith): ShadowSample | null {
    if (100 * gateway.random() >= shadow.terms.percent) return null;
    return new ShadowSample(call, shadow, this, gateway);
  }

  /** The reason not to copy the call; null if the copy was started. */
  start(call: ShadowCall, shadow: Shadow, tap: AnswerTap, gateway: CopyWith): ShadowDrop | null {
    const { id } = call.route.config;
    if (this.#stopped) return "stopping";
    if (call.account !== null) return "kept_state";
    if (this.room.isFull(id, shadow.terms.maxConcurrent)) return "full";
    const bytes = call.shaped.received.bytes.length;
    if (!this.room.take(bytes)) return "memory";
    this.room.enter(id);
    const copy = new ShadowCopy(call, shadow, { tap, room: this.room, recorder: this.recorder }, gateway);
    this.#running.add(copy);
    // Callers that are waiting come first.
    setImmediate(() => {
      void copy.run().finally(() => {
        this.#running.delete(copy);
        this.room.leave(id);
        this.room.give(bytes);
        tap.release();
      });
    });
    return null;
  }

  /** Starts no more copies. */
  stop(): void {
    this.#stopped = true;
  }

  /** Waits up to `withinMs` for copies under way, then breaks off the rest. */
  async drain(withinMs: number): Promise<void> {
    this.stop();
    const ended = Promise.all([...this.#running].map((copy) => copy.ended));
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, withinMs);
    await Promise.race([ended, promise]);
    clearTimeout(timer);
    for (const copy of this.#running) copy.breakOff();
    await ended;
  }
}

/** A call that is copied if it is answered. */
export class ShadowSample {
  readonly #call: ShadowCall;
  readonly #shadow: Shadow;
  readonly #shadows: Shadows;
  readonly #gateway: CopyWith;
  readonly #tap: AnswerTap;
  #answered = false;

  constructor(call: ShadowCall, shadow: Shadow, shadows: Shadows, gateway: CopyWith) {
    this.#call = call;
    this.#shadow = shadow;
    this.#shadows = shadows;
    this.#gateway = gateway;
    this.#tap = new AnswerTap(shadows.room);
    // First, so that both answers are compared with their placeholders.
    call.client.filterFirst(this.#tap);
  }

  answered(): void {
    this.#answered = true;
  }

  over(): void {
    const dropped = this.#answered ? this.#shadows.start(this.#call, this.#shadow, this.#tap, this.#gateway) : null;
    if (dropped !== null) this.#shadows.recorder.dropped(this.#call.route.config.id, dropped);
    if (dropped !== null || !this.#answered) this.#tap.release();
  }
}
