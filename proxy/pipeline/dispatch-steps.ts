/** Part of dispatch: how one step leads to the next. What the steps are is in dispatch.ts. */
import type { AttemptRecord } from "../call/record.ts";
import type { Failure } from "../failure.ts";
import type { Permit } from "../routing/routing.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { AttemptListener, AttemptResult } from "./attempt-result.ts";
import type { DispatchEnd, DispatchOutcome } from "./dispatch-outcome.ts";
import type { Dispatcher, DispatchRequest } from "./dispatch-request.ts";
import { type Asked, ask, type Tried } from "./try-target.ts";

/** An attempt that may be made. */
export interface Step {
  target: ResolvedTarget;
  permit: Permit;
  /** Number of attempts at this target, including this one. */
  attempt: number;
  /** Whether the credential was renewed after an earlier one. */
  renewed: boolean;
}

/** What follows: one more attempt, or the end. A promise only if something has to be waited for. */
export type Next = Step | DispatchEnd | Promise<Step | DispatchEnd>;

/** Shared by all dispatches, so never modified. */
const none: AttemptRecord[] = [];

/** Receives the outcome of a dispatch. Exactly one of its methods is called. */
export interface DispatchListener {
  dispatched(outcome: DispatchOutcome): void;
  /** The gateway itself failed. */
  broke(cause: unknown): void;
}

/** Creates promises only to wait for something, as every call passes through here. */
export abstract class DispatchSteps implements AttemptListener {
  readonly #request: DispatchRequest;
  readonly #with: Dispatcher;
  readonly #listener: DispatchListener;
  protected attempts: AttemptRecord[] = none;
  /** The attempt that is being made. */
  #underWay: Step | null = null;
  #asked: Asked | null = null;
  #beganMs = 0;

  constructor(request: DispatchRequest, dispatcher: Dispatcher, listener: DispatchListener) {
    this.#request = request;
    this.#with = dispatcher;
    this.#listener = listener;
  }

  /** The first attempt at the next target that may be called. */
  protected abstract nextTarget(): Next;
  /** What follows an attempt. */
  protected abstract after(step: Step, tried: Tried | Failure, durationMs: number): Next;
  protected abstract judged(target: ResolvedTarget, asked: Asked, result: AttemptResult): Tried | Promise<Tried>;
  protected abstract outcome(end: DispatchEnd): DispatchOutcome;

  start(): void {
    this.#follow(null, null);
  }

  /** Goes on after the attempt that is being made, or begins if there is none. */
  #follow(step: Step | null, tried: Tried | Failure | null): void {
    let next: Next;
    try {
      this.#underWay = null;
      next =
        step === null || tried === null
          ? this.nextTarget()
          : this.after(step, tried, this.#with.deadlines.nowMs() - this.#beganMs);
    } catch (cause) {
      this.#broke(cause);
      return;
    }
    if (next instanceof Promise) this.#waitFor(next);
    else this.#go(next);
  }

  #waitFor(next: Promise<Step | DispatchEnd>): void {
    next.then(
      (step) => this.#go(step),
      (cause: unknown) => this.#broke(cause),
    );
  }

  #go(next: Step | DispatchEnd): void {
    if ("kind" in next) {
      this.#listener.dispatched(this.outcome(next));
      return;
    }
    this.#beganMs = this.#with.deadlines.nowMs();
    this.#underWay = next;
    let asking: ReturnType<typeof ask>;
    try {
      asking = ask(next.target, this.#request, this.attempts.length + 1, this.#with, next.permit.seat);
    } catch (cause) {
      this.#broke(cause);
      return;
    }
    if (asking instanceof Promise) this.#waitForAsking(asking, next);
    else this.#asking(asking, next);
  }

  #waitForAsking(asking: Promise<Asked | Tried>, step: Step): void {
    asking.then(
      (asked) => this.#asking(asked, step),
      (cause: unknown) => this.#broke(cause),
    );
  }

  #asking(asked: Asked | Tried | Failure, step: Step): void {
    if ("attempt" in asked) {
      this.#asked = asked;
      asked.attempt.onEnd(this);
    } else this.#follow(step, asked);
  }

  attemptEnded(result: AttemptResult): void {
    const step = this.#underWay;
    const asked = this.#asked;
    if (step === null || asked === null) return;
    this.#asked = null;
    asked.choice?.over();
    let judging: Tried | Promise<Tried>;
    try {
      judging = this.judged(step.target, asked, result);
    } catch (cause) {
      this.#broke(cause);
      return;
    }
    if (judging instanceof Promise) this.#waitForJudging(judging, step);
    else this.#follow(step, judging);
  }

  #waitForJudging(judging: Promise<Tried>, step: Step): void {
    judging.then(
      (tried) => this.#follow(step, tried),
      (cause: unknown) => this.#broke(cause),
    );
  }

  /** An internal error. The permit must be returned, or a half-open breaker would wait for it and admit nobody else. */
  #broke(cause: unknown): void {
    this.#underWay?.permit.released();
    this.#listener.broke(cause);
  }
}
