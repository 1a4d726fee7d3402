/**
 * Stage: one request to one target after another, until one answers. One deadline holds for all attempts together.
 * What one attempt is, is in try-target.ts; what its failure means for the next one, in retry.ts.
 */

import type { AttemptRecord } from "../call/record.ts";
import type { FailureClass } from "../config/route.ts";
import type { ProviderError, Usage } from "../dialects/canonical.ts";
import { type Failure, failure } from "../failure.ts";
import type { Permit, Routing } from "../routing/routing.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { type AttemptCause, isOfProvider } from "../wire/causes.ts";
import { asEventStream } from "./answer-headers.ts";
import { chargeOf } from "./charge.ts";
import type { Dispatcher, DispatchRequest } from "./dispatch-request.ts";
import { KeepAlive } from "./keep-alive.ts";
import { toFailure } from "./provider-error.ts";
import { fallbackClassOf, healthClassOf, pause, retryDelayMs } from "./retry.ts";
import { errorReply, type Tried, tryTarget } from "./try-target.ts";

/** What answered, or began to. */
export interface Served {
  target: ResolvedTarget;
  dropped: string[];
  /** null: nothing of the answer came. */
  firstByteMs: number | null;
  /** A whole answer's body, for the log where payloads are logged. */
  body: Uint8Array | string | null;
}

/** How a dispatch ended. */
type DispatchEnd =
  | { kind: "answered"; served: Served }
  /** No byte of an answer reached the client. */
  | { kind: "failed"; failure: Failure }
  /**
   * The stream broke after bytes had reached the client. `told`: the stream itself said how it failed; otherwise
   * `failure` is to be sent as an event. `served` is null where all that was sent is the failure in the provider's words.
   */
  | { kind: "brokenOff"; failure: Failure; told: boolean; served: Served | null }
  /** The client went away. `stalled`: it took nothing any more, and was cut off for that. */
  | { kind: "abandoned"; stalled: boolean; served: Served };

export type DispatchOutcome = DispatchEnd & { attempts: AttemptRecord[]; usage: Usage | null };

function causeIn({ result }: Tried): AttemptCause | null {
  return result.kind === "failed" || result.kind === "broken" ? result.cause : null;
}

/** A provider's own words are for callers that speak its API. */
function failureOf(error: ProviderError, tried: Tried): Failure {
  const failed = toFailure(error, causeIn(tried));
  return error.theirs === undefined || tried.prepared.translated ? failed : { ...failed, theirs: error.theirs };
}

function servedBy(target: ResolvedTarget, { result, prepared, whole }: Tried): Served {
  return {
    target,
    dropped: prepared.dropped,
    firstByteMs: result.kind === "failed" || result.kind === "whole" ? null : result.firstByteMs,
    body: whole?.body ?? null,
  };
}

/** How it ended at one target: answered or beyond help, or failed with leave to go to the next. */
type TargetEnd = { done: true; end: DispatchEnd } | { done: false; failure: Failure; fallBack: boolean };

/** Another account may have a larger limit; the caller's other limits hold everywhere, and each attempt is paid for. */
const mayFallBack = (kind: FailureClass, error: ProviderError): boolean =>
  error.fault !== "caller" || kind === "RateLimited";

class Dispatch {
  readonly #request: DispatchRequest;
  readonly #with: Dispatcher;
  readonly #attempts: AttemptRecord[] = [];
  #usage: Usage | null = null;
  #lastTried: [ResolvedTarget, Tried] | null = null;
  /** How the last attempt failed. */
  #last: Failure | null = null;

  constructor(request: DispatchRequest, dispatcher: Dispatcher) {
    this.#request = request;
    this.#with = dispatcher;
  }

  async run(): Promise<DispatchOutcome> {
    const end = await this.#end();
    return { ...end, attempts: this.#attempts, usage: this.#usage };
  }

  async #end(): Promise<DispatchEnd> {
    let last: Failure | null = null;
    for (const target of this.#request.targets) {
      if (last !== null && this.#with.nowMs() >= this.#request.deadlineMs) break;
      const acquired = this.#acquire(target);
      const permit = acquired instanceof Promise ? await acquired : acquired;
      if (permit === null) continue;
      const next = await this.#target(target, permit);
      if (next.done) return next.end;
      last = next.failure;
      if (!next.fallBack) break;
    }
    if (last === null) return { kind: "failed", failure: this.#nobodyToAsk() };
    return this.#tellOwn()
      ? { kind: "brokenOff", failure: last, told: true, served: null }
      : { kind: "failed", failure: last };
  }

  /** The last stream failed in its format's own way, which says more to its client than an error of ours. */
  #tellOwn(): boolean {
    if (this.#lastTried === null) return false;
    const [target, { result, prepared }] = this.#lastTried;
    const { client, replyHeaders } = this.#request;
    if (result.kind !== "failed" || result.own === undefined || client.closed) return false;
    if (!client.started)
      client.streamHead(asEventStream(replyHeaders(target, prepared, result.headers, this.#attempts.length)));
    client.write(result.own, true);
    return true;
  }

  #acquire(target: ResolvedTarget): ReturnType<Routing["acquire"]> {
    return this.#with.routing.acquire(target, this.#request.promptTokens, this.#request.caller);
  }

  /** Every target is held back: by a rate limit, or because it has been failing. */
  #nobodyToAsk(): Failure {
    const { ms, rateLimited } = this.#with.routing.wait(this.#request.targets, this.#request.caller);
    if (rateLimited)
      return failure(
        "upstream_rate_limited",
        "The rate limits of this model's providers are used up. Try again later.",
        { retryAfterMs: ms },
      );
    return failure("no_usable_target", "No provider of this model can be called right now. Try again later.", {
      retryAfterMs: ms,
    });
  }

  /** All attempts at one target. */
  async #target(target: ResolvedTarget, first: Permit): Promise<TargetEnd> {
    let permit = first;
    let renewed = false;
    for (let attempt = 1; ; attempt++) {
      const uncovered = this.#last === null ? null : await this.#uncovered(target, this.#last);
      if (uncovered !== null) {
        permit.released();
        // Another target may be cheaper.
        return { done: false, failure: uncovered, fallBack: true };
      }
      const began = this.#with.nowMs();
      const tried = await this.#tried(target, permit);
      if ("code" in tried) {
        permit.released();
        return { done: false, failure: tried, fallBack: false };
      }
      this.#lastTried = [target, tried];
      const durationMs = this.#with.nowMs() - began;
      this.#record(target, tried, durationMs);
      this.#noteFirstToken(target, tried, durationMs);
      if (tried.error === null) return this.#answered(target, tried, permit, durationMs);
      if (!renewed && this.#renew(target, tried)) {
        renewed = true;
        continue;
      }
      const next = await this.#afterFailure(target, tried, tried.error, permit, attempt);
      if ("done" in next) return next;
      permit = next;
    }
  }

  async #tried(target: ResolvedTarget, permit: Permit): Promise<Tried | Failure> {
    try {
      return await tryTarget(target, this.#request, this.#attempts.length + 1, this.#with);
    } catch (cause) {
      // A fault of ours. Kept, its permit would be one that a breaker waits for before it lets anybody else try.
      permit.released();
      throw cause;
    }
  }

  #record(target: ResolvedTarget, tried: Tried, durationMs: number): void {
    const cause = causeIn(tried);
    const charge = chargeOf(target, tried, durationMs, this.#request.shaped, this.#with.habits);
    this.#usage = charge.usage ?? this.#usage;
    this.#attempts.push({
      provider: target.entry.account.config.id,
      target: target.config.name,
      model: target.model.name,
      outcome: tried.error?.class ?? "ok",
      durationMs,
      ...(cause === null ? {} : { cause }),
      ...charge,
    });
  }

  /**
   * Why no further attempt may be made: what budgets have reserved for the call, less what its attempts were charged,
   * doesn't suffice for it, and there is no more to be had. The failure before is what the caller is told.
   */
  async #uncovered(target: ResolvedTarget, last: Failure): Promise<Failure | null> {
    return (await this.#request.cover(target, this.#attempts)) ? null : last;
  }

  /** How late first tokens are decides what comes first next time. Without others there is nothing to choose. */
  #noteFirstToken(target: ResolvedTarget, { result, error }: Tried, durationMs: number): void {
    if (this.#request.targets.length === 1 || !this.#request.shaped.received.stream) return;
    if (result.kind === "streamed" || result.kind === "broken")
      this.#with.routing.firstToken(target, result.firstByteMs);
    else if (error?.class === "Timeout" && error.fault !== "caller") this.#with.routing.firstToken(target, durationMs);
  }

  /** A permit for one more attempt at the same target, or how it ended there. */
  async #afterFailure(
    target: ResolvedTarget,
    tried: Tried,
    error: ProviderError,
    permit: Permit,
    attempt: number,
  ): Promise<Permit | TargetEnd> {
    const kind = healthClassOf(error);
    const fallback = fallbackClassOf(error);
    this.#hold(kind, tried, error, permit);
    this.#last = this.#lastWord(target, failureOf(error, tried), error);
    if (tried.result.kind === "broken") return this.#brokenOff(target, tried, error);
    const delayMs = kind === null ? null : retryDelayMs(target, error, attempt, this.#request, this.#with);
    const again = delayMs !== null && (await pause(this.#request.client, delayMs)) ? await this.#acquire(target) : null;
    return (
      again ?? {
        done: false,
        failure: this.#last,
        fallBack:
          fallback !== null &&
          mayFallBack(fallback, error) &&
          this.#request.route.config.routing.fallbackOn.includes(fallback),
      }
    );
  }

  /** Tells the target's health, and who counts for alerts, what a failure says of the target. */
  #hold(kind: FailureClass | null, tried: Tried, error: ProviderError, permit: Permit): void {
    const cause = causeIn(tried);
    let counted = false;
    if (kind === null || error.fault === "caller") permit.released();
    else {
      const ofCaller = error.fault !== "provider" && !isOfProvider(cause);
      counted = permit.failed({ class: kind, retryAfterMs: error.retryAfterMs, cause, ofCaller });
    }
    const record = this.#attempts.at(-1);
    if (record !== undefined && !counted) record.uncounted = true;
  }

  /** A caller that tries again before the hold-back is over would be refused for nothing. */
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

  #brokenOff(target: ResolvedTarget, tried: Tried, error: ProviderError): TargetEnd {
    const told = tried.result.kind === "broken" && tried.result.told;
    const failed = failureOf(error, tried);
    return { done: true, end: { kind: "brokenOff", failure: failed, told, served: servedBy(target, tried) } };
  }

  #answered(target: ResolvedTarget, tried: Tried, permit: Permit, durationMs: number): TargetEnd {
    const served = servedBy(target, tried);
    if (tried.result.kind === "abandoned") {
      permit.released();
      return { done: true, end: { kind: "abandoned", stalled: tried.result.stalled, served } };
    }
    const firstByteMs = served.firstByteMs ?? durationMs;
    const usage = this.#usage;
    permit.succeeded({ firstByteMs, durationMs, tokens: usage ? usage.prompt + usage.completion : 0 });
    return { done: true, end: { kind: "answered", served: { ...served, firstByteMs } } };
  }
}

export async function dispatch(request: DispatchRequest, dispatcher: Dispatcher): Promise<DispatchOutcome> {
  const everyMs = request.shaped.received.stream ? (request.limits.keepAliveMs ?? 0) : 0;
  const keepAlive = everyMs > 0 ? new KeepAlive(request.client, dispatcher.deadlines, everyMs) : null;
  try {
    return await new Dispatch(request, dispatcher).run();
  } finally {
    keepAlive?.stop();
  }
}
