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
import { toFailure } from "./provider-error.ts";
import { fallbackClassOf, healthClassOf, pause, retryDelayMs } from "./retry.ts";
import { errorReply, type Tried, tryTarget } from "./try-target.ts";

export interface DispatchOutcome {
  /** null: answered, or the client went away. */
  failure: Failure | null;
  /** The stream broke after bytes had reached the client: `failure` is to be sent as an event. */
  broken: boolean;
  /** The stream itself told the client how it failed. */
  told: boolean;
  abandoned: boolean;
  /** The client took nothing any more, and was cut off for that. */
  stalled: boolean;
  target: ResolvedTarget | null;
  attempts: AttemptRecord[];
  usage: Usage | null;
  firstByteMs: number | null;
  dropped: string[];
  /** A whole answer's body, for the log where payloads are logged. */
  body: Uint8Array | string | null;
}

function causeIn({ result }: Tried): AttemptCause | null {
  return result.kind === "failed" || result.kind === "broken" ? result.cause : null;
}

/** A provider's own words are for callers that speak its API. */
function failureOf(error: ProviderError, tried: Tried): Failure {
  const failed = toFailure(error, causeIn(tried));
  return error.theirs === undefined || tried.prepared.translated ? failed : { ...failed, theirs: error.theirs };
}

/** How it ended at one target: answered or beyond help, or failed with leave to go to the next. */
type TargetEnd = { done: true } | { done: false; failure: Failure; fallBack: boolean };

/** Another account may have a larger limit; the caller's other limits hold everywhere, and each attempt is paid for. */
const mayFallBack = (kind: FailureClass, error: ProviderError): boolean =>
  error.fault !== "caller" || kind === "RateLimited";

class Dispatch {
  readonly #request: DispatchRequest;
  readonly #with: Dispatcher;
  readonly #outcome: DispatchOutcome;
  #lastTried: [ResolvedTarget, Tried] | null = null;
  /** How the last attempt failed. */
  #last: Failure | null = null;

  constructor(request: DispatchRequest, dispatcher: Dispatcher) {
    this.#request = request;
    this.#with = dispatcher;
    this.#outcome = {
      failure: null,
      broken: false,
      told: false,
      abandoned: false,
      stalled: false,
      target: null,
      attempts: [],
      usage: null,
      firstByteMs: null,
      dropped: [],
      body: null,
    };
  }

  async run(): Promise<DispatchOutcome> {
    let last: Failure | null = null;
    for (const target of this.#request.targets) {
      if (last !== null && this.#with.nowMs() >= this.#request.deadlineMs) break;
      const acquired = this.#acquire(target);
      const permit = acquired instanceof Promise ? await acquired : acquired;
      if (permit === null) continue;
      const next = await this.#target(target, permit);
      if (next.done) return this.#outcome;
      last = next.failure;
      if (!next.fallBack) break;
    }
    this.#outcome.failure = last ?? this.#nobodyToAsk();
    if (last !== null) this.#tellOwn();
    return this.#outcome;
  }

  /** The last stream failed in its format's own way, which says more to its client than an error of ours. */
  #tellOwn(): void {
    if (this.#lastTried === null) return;
    const [target, { result, prepared }] = this.#lastTried;
    const { client, replyHeaders } = this.#request;
    if (result.kind !== "failed" || result.own === undefined || client.closed) return;
    client.streamHead(asEventStream(replyHeaders(target, prepared, result.headers, this.#outcome.attempts.length)));
    client.write(result.own, true);
    this.#outcome.broken = true;
    this.#outcome.told = true;
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
      return await tryTarget(target, this.#request, this.#outcome.attempts.length + 1, this.#with);
    } catch (cause) {
      // A fault of ours. Kept, its permit would be one that a breaker waits for before it lets anybody else try.
      permit.released();
      throw cause;
    }
  }

  #record(target: ResolvedTarget, tried: Tried, durationMs: number): void {
    const cause = causeIn(tried);
    const charge = chargeOf(target, tried, durationMs, this.#request.shaped, this.#with.habits);
    this.#outcome.usage = charge.usage ?? this.#outcome.usage;
    this.#outcome.attempts.push({
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
    return (await this.#request.cover(target, this.#outcome.attempts)) ? null : last;
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
    const record = this.#outcome.attempts.at(-1);
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
        errorReply(result, result.errorBody, this.#with.nowMs()),
        this.#with.auth,
      ) ?? false
    );
  }

  #brokenOff(target: ResolvedTarget, tried: Tried, error: ProviderError): TargetEnd {
    this.#note(target, tried);
    this.#outcome.broken = true;
    this.#outcome.told = tried.result.kind === "broken" && tried.result.told;
    this.#outcome.failure = failureOf(error, tried);
    return { done: true };
  }

  #note(target: ResolvedTarget, tried: Tried): void {
    const { result, prepared, whole } = tried;
    this.#outcome.target = target;
    this.#outcome.dropped = prepared.dropped;
    if (whole !== null) this.#outcome.body = whole.body;
    if (result.kind === "failed" || result.kind === "whole") return;
    this.#outcome.firstByteMs = result.firstByteMs;
  }

  #answered(target: ResolvedTarget, tried: Tried, permit: Permit, durationMs: number): TargetEnd {
    this.#note(target, tried);
    if (tried.result.kind === "abandoned") {
      this.#outcome.abandoned = true;
      this.#outcome.stalled = tried.result.stalled;
      permit.released();
      return { done: true };
    }
    this.#outcome.firstByteMs ??= durationMs;
    const usage = this.#outcome.usage;
    permit.succeeded({
      firstByteMs: this.#outcome.firstByteMs,
      durationMs,
      tokens: usage ? usage.prompt + usage.completion : 0,
    });
    return { done: true };
  }
}

export function dispatch(request: DispatchRequest, dispatcher: Dispatcher): Promise<DispatchOutcome> {
  return new Dispatch(request, dispatcher).run();
}
