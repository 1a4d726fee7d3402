/**
 * Stage: sends the request to one target after another until one answers. All attempts share one deadline.
 * try-target.ts makes one attempt; retry.ts decides what its failure means for the next one.
 */

import type { AttemptRecord } from "../call/record.ts";
import type { FailureClass } from "../config/route.ts";
import type { ProviderError, Usage } from "../dialects/canonical.ts";
import { type Failure, isFailure } from "../failure.ts";
import type { PodWish } from "../routing/pools.ts";
import type { Permit, Routing } from "../routing/routing.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { isOfProvider } from "../wire/causes.ts";
import { asEventStream } from "./answer-headers.ts";
import type { AttemptResult } from "./attempt-result.ts";
import { chargeOf } from "./charge.ts";
import {
  causeIn,
  type DispatchEnd,
  type DispatchOutcome,
  failureOf,
  mayFallBack,
  nobodyToAsk,
  servedBy,
} from "./dispatch-outcome.ts";
import type { Dispatcher, DispatchRequest } from "./dispatch-request.ts";
import { type DispatchListener, DispatchSteps, type Next, type Step } from "./dispatch-steps.ts";
import { KeepAlive } from "./keep-alive.ts";
import { openingOf } from "./opening.ts";
import { fallbackClassOf, healthClassOf, pause, retryDelayMs } from "./retry.ts";
import { type Asked, errorReply, judge, noteUsedUp, type Tried } from "./try-target.ts";

class Dispatch extends DispatchSteps {
  readonly #request: DispatchRequest;
  readonly #with: Dispatcher;
  #usage: Usage | null = null;
  /** Servers of pools that were asked. */
  #tried: Set<string> | undefined;
  #affinity: string | undefined;
  #lastTried: [ResolvedTarget, Tried] | null = null;
  /** Index of the target to try after this one. */
  #next = 0;
  /** How the last attempt failed. */
  #last: Failure | null = null;

  constructor(request: DispatchRequest, dispatcher: Dispatcher, listener: DispatchListener) {
    super(request, dispatcher, listener);
    this.#request = request;
    this.#with = dispatcher;
  }

  /** The first attempt at the next target that may be called. */
  protected nextTarget(): Next {
    const { targets, deadlineMs } = this.#request;
    while (this.#next < targets.length && (this.#last === null || this.#with.deadlines.nowMs() < deadlineMs)) {
      const target = targets[this.#next++] as ResolvedTarget;
      const acquired = this.#acquire(target);
      if (acquired instanceof Promise) return this.#firstLater(target, acquired);
      if (acquired !== null) return this.#firstAt(target, acquired);
    }
    return this.#last === null
      ? { kind: "failed", failure: nobodyToAsk(this.#request, this.#with) }
      : this.#failed(this.#last);
  }

  async #firstLater(target: ResolvedTarget, acquired: Promise<Permit | null>): Promise<Step | DispatchEnd> {
    return this.#firstAt(target, await acquired);
  }

  #firstAt(target: ResolvedTarget, permit: Permit | null): Next {
    return permit === null ? this.nextTarget() : this.#covered({ target, permit, attempt: 1, renewed: false });
  }

  #failed(last: Failure): DispatchEnd {
    return this.#sendOwnFailure()
      ? { kind: "brokenOff", failure: last, reported: true, served: null }
      : { kind: "failed", failure: last };
  }

  protected outcome(end: DispatchEnd): DispatchOutcome {
    const outcome = end as DispatchOutcome;
    outcome.attempts = this.attempts;
    outcome.usage = this.#usage;
    return outcome;
  }

  /** Sends the failure of the last stream in its own format, which says more than the gateway's error. */
  #sendOwnFailure(): boolean {
    if (this.#lastTried === null) return false;
    const [target, { result, prepared }] = this.#lastTried;
    const { client } = this.#request;
    if (result.kind !== "failed" || result.own === undefined || client.closed) return false;
    if (!client.started)
      client.streamHead(
        asEventStream(this.#request.replyHeaders(target, prepared, result.headers, this.attempts.length)),
      );
    client.write(result.own, true);
    return true;
  }

  /** What the call needs from the target's pool; undefined if the target isn't a pool. */
  #wishOf({ entry }: ResolvedTarget): PodWish | undefined {
    if (entry.pods === undefined) return undefined;
    this.#tried ??= new Set();
    const byPrefix = entry.account.config.pool?.strategy === "Prefix";
    if (byPrefix) this.#affinity ??= this.#request.session || openingOf(this.#request.shaped.received.json);
    return { affinity: byPrefix ? (this.#affinity ?? "") : "", tried: this.#tried };
  }

  #acquire(target: ResolvedTarget): ReturnType<Routing["acquire"]> {
    const { promptTokens, caller } = this.#request;
    return this.#with.routing.acquire(target, promptTokens, caller, this.#wishOf(target));
  }

  protected after(step: Step, tried: Tried | Failure, durationMs: number): Next {
    const { target, permit } = step;
    this.#request.trace?.attemptEnds(!isFailure(tried));
    if (isFailure(tried)) {
      permit.released();
      return this.#failed(tried);
    }
    this.#lastTried = [target, tried];
    this.#record(step, tried, durationMs);
    this.#noteFirstToken(target, tried, durationMs);
    if (tried.error === null) return this.#answered(target, tried, permit, durationMs);
    if (!step.renewed && this.#renew(target, tried))
      return this.#covered({ target, permit, attempt: step.attempt + 1, renewed: true });
    return this.#afterFailure(step, tried, tried.error);
  }

  protected judged(
    target: ResolvedTarget,
    { prepared, attempt }: Asked,
    result: AttemptResult,
  ): Tried | Promise<Tried> {
    if (this.#request.targets.length > 1) noteUsedUp(target, attempt.headers, this.#with);
    return judge(target, prepared, result, this.#request, this.attempts.length + 1, this.#with);
  }

  #record({ target, permit }: Step, tried: Tried, durationMs: number): void {
    const cause = causeIn(tried);
    const charge = chargeOf(
      target,
      tried,
      durationMs,
      this.#request.shaped.forTarget(target.config),
      this.#with.habits,
    );
    this.#usage = charge.usage ?? this.#usage;
    const record: AttemptRecord = {
      provider: target.entry.account.config.id,
      target: target.config.name,
      model: target.model.name,
      outcome: tried.error?.class ?? "ok",
      durationMs,
      ...charge,
    };
    const { seat } = permit;
    if (seat !== null) record.server = { address: seat.pod.name, chosenBy: seat.chosenBy };
    if (cause !== null) record.cause = cause;
    // Most calls make one attempt, and a literal takes less memory than an array that grows by `push`.
    if (this.attempts.length === 0) this.attempts = [record];
    else this.attempts.push(record);
  }

  /**
   * Whether one more attempt fits in the rest of what budgets reserved for the call, or in a further reservation.
   * Otherwise another target may cost less; if none does, the caller gets the previous failure.
   */
  #covered(step: Step): Next {
    if (this.#last === null) return step;
    const covered = this.#request.cover(step.target, this.attempts);
    return covered instanceof Promise ? this.#coveredLater(covered, step) : this.#ifCovered(covered, step);
  }

  async #coveredLater(covered: Promise<boolean>, step: Step): Promise<Step | DispatchEnd> {
    return this.#ifCovered(await covered, step);
  }

  #ifCovered(covered: boolean, step: Step): Next {
    if (covered) return step;
    step.permit.released();
    return this.nextTarget();
  }

  /** Records slow first tokens, which affect the next order of targets. Skipped if there is only one target. */
  #noteFirstToken(target: ResolvedTarget, { result, error }: Tried, durationMs: number): void {
    if (this.#request.targets.length === 1 || !this.#request.shaped.received.stream) return;
    if (result.kind === "streamed" || result.kind === "broken")
      this.#with.routing.firstToken(target, result.firstByteMs);
    else if (error?.class === "Timeout" && error.fault !== "caller") this.#with.routing.firstToken(target, durationMs);
  }

  async #afterFailure(step: Step, tried: Tried, error: ProviderError): Promise<Step | DispatchEnd> {
    const { target, permit, attempt, renewed } = step;
    const kind = healthClassOf(error);
    const fallback = fallbackClassOf(error);
    this.#hold(kind, tried, error, permit);
    this.#last = this.#lastWord(target, failureOf(error, tried), error);
    if (tried.result.kind === "broken") return this.#brokenOff(target, tried, error);
    const delayMs = kind === null ? null : retryDelayMs(target, error, attempt, this.#request, this.#with);
    const again = delayMs !== null && (await pause(this.#request.client, delayMs)) ? await this.#acquire(target) : null;
    if (again !== null) return this.#covered({ target, permit: again, attempt: attempt + 1, renewed });
    const fallsBack =
      fallback !== null &&
      mayFallBack(fallback, error) &&
      this.#request.route.config.routing.fallbackOn.includes(fallback);
    return fallsBack ? this.nextTarget() : this.#failed(this.#last);
  }

  /** Reports to the target's health, and to the alert counts, what a failure says about the target. */
  #hold(kind: FailureClass | null, tried: Tried, error: ProviderError, permit: Permit): void {
    const cause = causeIn(tried);
    let counted = false;
    if (kind === null || error.fault === "caller") permit.released();
    else {
      const ofCaller = error.fault !== "provider" && !isOfProvider(cause);
      counted = permit.failed({ class: kind, retryAfterMs: error.retryAfterMs, cause, ofCaller });
    }
    const record = this.attempts.at(-1);
    if (record !== undefined && !counted) record.uncounted = true;
  }

  /** Tells the caller to wait until the hold-back is over: an earlier retry would only be refused. */
  #lastWord(target: ResolvedTarget, failed: Failure, error: ProviderError): Failure {
    const heldMs = error.class === "RateLimited" ? this.#with.routing.heldMs(target, this.#request.caller) : 0;
    return failed.retryAfterMs === null && heldMs > 0 ? { ...failed, retryAfterMs: heldMs } : failed;
  }

  #renew(target: ResolvedTarget, tried: Tried): boolean {
    const result = tried.result;
    if (tried.error?.class !== "Unauthorized" || result.kind !== "failed" || result.errorBody === null) return false;
    return (
      target.entry.provider.renew?.(
        target.entry.account,
        errorReply(result, result.errorBody, target.entry.account, this.#with.nowMs()),
        this.#with.auth,
      ) ?? false
    );
  }

  #brokenOff(target: ResolvedTarget, tried: Tried, error: ProviderError): DispatchEnd {
    const reported = tried.result.kind === "broken" && tried.result.reported;
    const failed = failureOf(error, tried);
    return { kind: "brokenOff", failure: failed, reported, served: servedBy(target, tried) };
  }

  #answered(target: ResolvedTarget, tried: Tried, permit: Permit, durationMs: number): DispatchEnd {
    const served = servedBy(target, tried);
    if (tried.result.kind === "abandoned") {
      permit.released();
      return { kind: "abandoned", stalled: tried.result.stalled, served };
    }
    const firstByteMs = (served.firstByteMs ??= durationMs);
    const usage = this.#usage;
    permit.succeeded({ firstByteMs, durationMs, tokens: usage ? usage.prompt + usage.completion : 0 });
    return { kind: "answered", served };
  }
}

/** Ends the comments of a stream whose content was late, before the outcome of the dispatch is handled. */
class KeptAlive implements DispatchListener {
  readonly #keepAlive: KeepAlive;
  readonly #listener: DispatchListener;

  constructor(keepAlive: KeepAlive, listener: DispatchListener) {
    this.#keepAlive = keepAlive;
    this.#listener = listener;
  }

  dispatched(outcome: DispatchOutcome): void {
    this.#keepAlive.stop();
    this.#listener.dispatched(outcome);
  }

  broke(cause: unknown): void {
    this.#keepAlive.stop();
    this.#listener.broke(cause);
  }
}

/** `listener` may be called before this returns. */
export function dispatchFor(listener: DispatchListener, request: DispatchRequest, dispatcher: Dispatcher): void {
  const { stream, isFile } = request.shaped.received;
  // A comment between the bytes of a file would break it.
  const everyMs = stream && isFile !== true ? (request.limits.keepAliveMs ?? 0) : 0;
  if (everyMs <= 0) {
    new Dispatch(request, dispatcher, listener).start();
    return;
  }
  const keepAlive = new KeepAlive(request.client, dispatcher.deadlines, everyMs);
  new Dispatch(request, dispatcher, new KeptAlive(keepAlive, listener)).start();
}

export const dispatch = (request: DispatchRequest, dispatcher: Dispatcher): Promise<DispatchOutcome> =>
  new Promise((resolve, reject) => {
    dispatchFor({ dispatched: resolve, broke: reject }, request, dispatcher);
  });
