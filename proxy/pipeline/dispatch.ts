/** Stage: one request to one target after another, until one answers. One deadline holds for all attempts together. */
import type { Buffer } from "node:buffer";
import type { FailureClass } from "../config/route.ts";
import type { ProviderError, Usage } from "../dialects/canonical.ts";
import { type Failure, failure } from "../failure.ts";
import type { AuthEnvironment, ErrorReply, Outgoing } from "../providers/provider.ts";
import { exhaustedForMs } from "../providers/rate-limits.ts";
import type { Permit, Routing } from "../routing/routing.ts";
import type { Route } from "../snapshot/snapshot.ts";
import { type AttemptCause, tokenCauseOf } from "../wire/causes.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { Deadlines } from "../wire/deadlines.ts";
import type { ResponseHeaders, Upstreams } from "../wire/upstream.ts";
import { Attempt, type AttemptLimits, type AttemptResult, attemptError } from "./attempt.ts";
import { isProviderError, type Prepared, prepare } from "./prepare.ts";
import type { ResolvedTarget } from "./route.ts";
import type { Shaped } from "./shape.ts";

export interface AttemptRecord {
  provider: string;
  /** Name of the target within its policy. */
  target: string;
  model: string;
  /** "ok", or the class of the failure. */
  outcome: string;
  durationMs: number;
  /** Why the connection failed, or there was no token, where that is how it failed. */
  cause?: AttemptCause;
}

export interface DispatchOutcome {
  /** null: answered, or the client went away. */
  failure: Failure | null;
  /** The stream broke after bytes had reached the client: `failure` is to be sent as an event. */
  broken: boolean;
  /** The stream itself told the client how it failed. */
  told: boolean;
  abandoned: boolean;
  target: ResolvedTarget | null;
  attempts: AttemptRecord[];
  usage: Usage | null;
  contentLength: number;
  firstByteMs: number | null;
  dropped: string[];
  /** A whole answer's body, for the log where payloads are logged. */
  body: Uint8Array | string | null;
}

export interface Dispatcher {
  upstreams: Pick<Upstreams, "send">;
  routing: Routing;
  auth: AuthEnvironment;
  deadlines: Deadlines;
  nowMs(): number;
  /** 0 to 1. */
  random(): number;
}

export interface DispatchRequest {
  client: ClientConnection;
  shaped: Shaped;
  route: Route;
  /** In the order in which to try them. */
  targets: readonly ResolvedTarget[];
  /** Epoch milliseconds. */
  deadlineMs: number;
  forwarded: Record<string, string>;
  promptTokens: number;
  limits: { maxReplyBytes: number; maxStreamBytes: number; stalledClientMs: number };
  /** Headers of a successful answer, made when the target is known. `attempts` counts this one. */
  replyHeaders(target: ResolvedTarget, prepared: Prepared, upstream: ResponseHeaders, attempts: number): Record<string, string | number>;
}

const fallbackClasses: Readonly<Record<ProviderError["class"], FailureClass | null>> = {
  RateLimited: "RateLimited",
  Unavailable: "Unavailable",
  Timeout: "Timeout",
  ServerError: "ServerError",
  Unauthorized: "Unauthorized",
  NotFound: "Unavailable",
  BadRequest: null,
};

/** Failures of which the same target may be asked again; the others are better asked elsewhere. */
const retryable: ReadonlySet<ProviderError["class"]> = new Set(["Unavailable", "ServerError", "RateLimited"]);

function toFailure(error: ProviderError, cause: AttemptCause | null): Failure {
  return failure(error.code, error.message, {
    ...(error.param === null ? {} : { param: error.param }),
    retryAfterMs: error.retryAfterMs,
    ...(cause === null ? {} : { cause }),
  });
}

export function parseLoosely(bytes: Buffer): unknown {
  const text = bytes.toString("utf8");
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** The request with its credential, or why there is none. */
type Authorized = Outgoing | Extract<AttemptResult, { kind: "failed" }>;

const noToken = (thrown: unknown): Authorized => ({
  kind: "failed",
  error: attemptError(
    "Unauthorized",
    "upstream_auth_error",
    "The gateway could not get a token for the provider. Ask the platform team to check its credential.",
  ),
  cause: tokenCauseOf(thrown),
  status: null,
  headers: {},
  errorBody: null,
});

interface Tried {
  result: AttemptResult;
  prepared: Prepared;
  /** The failure, with the provider's own words read. */
  error: ProviderError | null;
}

function causeIn({ result }: Tried): AttemptCause | null {
  return result.kind === "failed" || result.kind === "broken" ? result.cause : null;
}

/** How it ended at one target: answered or beyond help, or failed with leave to go to the next. */
type TargetEnd = { done: true } | { done: false; failure: Failure; fallBack: boolean };

class Dispatch {
  readonly #request: DispatchRequest;
  readonly #with: Dispatcher;
  readonly #outcome: DispatchOutcome;

  constructor(request: DispatchRequest, dispatcher: Dispatcher) {
    this.#request = request;
    this.#with = dispatcher;
    this.#outcome = {
      failure: null,
      broken: false,
      told: false,
      abandoned: false,
      target: null,
      attempts: [],
      usage: null,
      contentLength: 0,
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
    return this.#outcome;
  }

  #acquire(target: ResolvedTarget): ReturnType<Routing["acquire"]> {
    return this.#with.routing.acquire(target, this.#request.promptTokens);
  }

  /** Every target is held back: by a rate limit, or because it has been failing. */
  #nobodyToAsk(): Failure {
    const { ms, rateLimited } = this.#with.routing.wait(this.#request.targets);
    if (rateLimited) return failure("upstream_rate_limited", "The rate limits of this model's providers are used up. Try again later.", { retryAfterMs: ms });
    return failure("no_usable_target", "No provider of this model can be called right now. Try again later.", { retryAfterMs: ms });
  }

  /** All attempts at one target. */
  async #target(target: ResolvedTarget, first: Permit): Promise<TargetEnd> {
    let permit = first;
    let renewed = false;
    for (let attempt = 1; ; attempt++) {
      const began = this.#with.nowMs();
      const tried = await this.#attempt(target);
      if ("code" in tried) {
        permit.released();
        return { done: false, failure: tried, fallBack: false };
      }
      const durationMs = this.#with.nowMs() - began;
      const cause = causeIn(tried);
      this.#outcome.attempts.push({
        provider: target.entry.account.config.id,
        target: target.config.name,
        model: target.model.name,
        outcome: tried.error?.class ?? "ok",
        durationMs,
        ...(cause === null ? {} : { cause }),
      });
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

  /** How late first tokens are, and whether the rate limit is used up, decides what comes first next time. Without others there is nothing to choose. */
  get #choice(): boolean {
    return this.#request.targets.length > 1;
  }

  #noteFirstToken(target: ResolvedTarget, { result, error }: Tried, durationMs: number): void {
    if (!this.#choice || !this.#request.shaped.received.stream) return;
    if (result.kind === "streamed" || result.kind === "broken") this.#with.routing.firstToken(target, result.firstByteMs);
    else if (error?.class === "Timeout") this.#with.routing.firstToken(target, durationMs);
  }

  #noteLimits(target: ResolvedTarget, headers: ResponseHeaders): void {
    const waitMs = this.#choice ? exhaustedForMs(headers, this.#with.nowMs()) : null;
    if (waitMs !== null) this.#with.routing.spare(target, waitMs);
  }

  /** A permit for one more attempt at the same target, or how it ended there. */
  async #afterFailure(target: ResolvedTarget, tried: Tried, error: ProviderError, permit: Permit, attempt: number): Promise<Permit | TargetEnd> {
    const kind = fallbackClasses[error.class];
    if (kind === null) permit.released();
    else permit.failed({ class: kind, retryAfterMs: error.retryAfterMs, cause: causeIn(tried) });
    if (tried.result.kind === "broken") return this.#brokenOff(target, tried, error);
    const delayMs = kind === null ? null : this.#retryDelay(target, error, attempt);
    const again = delayMs !== null && (await this.#pause(delayMs)) ? await this.#acquire(target) : null;
    return (
      again ?? {
        done: false,
        failure: toFailure(error, causeIn(tried)),
        fallBack: kind !== null && this.#request.route.config.routing.fallbackOn.includes(kind),
      }
    );
  }

  #renew(target: ResolvedTarget, tried: Tried): boolean {
    const result = tried.result;
    if (tried.error?.class !== "Unauthorized" || result.kind !== "failed" || result.errorBody === null) return false;
    return target.entry.provider.renew?.(target.entry.account, this.#errorReply(result, result.errorBody), this.#with.auth) ?? false;
  }

  #brokenOff(target: ResolvedTarget, tried: Tried, error: ProviderError): TargetEnd {
    this.#note(target, tried);
    this.#outcome.broken = true;
    this.#outcome.told = tried.result.kind === "broken" && tried.result.told;
    this.#outcome.failure = toFailure(error, causeIn(tried));
    return { done: true };
  }

  #note(target: ResolvedTarget, tried: Tried): void {
    const { result, prepared } = tried;
    this.#outcome.target = target;
    this.#outcome.dropped = prepared.dropped;
    if (result.kind === "failed" || result.kind === "whole") return;
    this.#outcome.usage = result.usage;
    this.#outcome.contentLength = result.contentLength;
    this.#outcome.firstByteMs = result.firstByteMs;
  }

  #answered(target: ResolvedTarget, tried: Tried, permit: Permit, durationMs: number): TargetEnd {
    this.#note(target, tried);
    if (tried.result.kind === "abandoned") {
      this.#outcome.abandoned = true;
      permit.released();
      return { done: true };
    }
    this.#outcome.firstByteMs ??= durationMs;
    const usage = this.#outcome.usage;
    permit.succeeded({ firstByteMs: this.#outcome.firstByteMs, durationMs, tokens: usage ? usage.prompt + usage.completion : 0 });
    return { done: true };
  }

  /** Milliseconds to wait before asking the same target again; null: don't. */
  #retryDelay(target: ResolvedTarget, error: ProviderError, attempt: number): number | null {
    const { retry } = target.entry.account.config;
    if (attempt >= retry.attempts) return null;
    const elsewhere = this.#request.targets.length > 1 && (error.class === "RateLimited" || error.class === "Timeout");
    if (!retryable.has(error.class) || elsewhere || !this.#with.routing.mayRetry(target)) return null;
    const backoff = Math.min(retry.maxDelayMs, retry.initialDelayMs * retry.multiplier ** (attempt - 1));
    const jittered = backoff * (1 - retry.jitter * this.#with.random());
    // Nor before its hold-back is over, or nobody would let the attempt through.
    // A timer may be a millisecond early by the clock on the wall, by which the hold-back ends.
    const held = this.#with.routing.heldMs(target);
    const delay = Math.max(jittered, error.retryAfterMs ?? 0, held === 0 ? 0 : held + 2);
    const affordable = delay <= retry.maxDelayMs && this.#with.nowMs() + delay < this.#request.deadlineMs;
    return affordable ? delay : null;
  }

  /** false where the client went away meanwhile. */
  #pause(delayMs: number): Promise<boolean> {
    const { client } = this.#request;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        client.onClose(null);
        resolve(true);
      }, delayMs);
      client.onClose(() => {
        clearTimeout(timer);
        resolve(false);
      });
    });
  }

  async #attempt(target: ResolvedTarget): Promise<Tried | Failure> {
    const nowMs = this.#with.nowMs();
    const remainingMs = this.#request.deadlineMs - nowMs;
    const { client, shaped } = this.#request;
    const prepared = prepare(shaped, target, { requestId: client.requestId, nowMs, deadlineMs: remainingMs, forwarded: this.#request.forwarded });
    if (!("outgoing" in prepared)) return prepared;
    const authorized = this.#authorize(target, prepared.outgoing);
    const outgoing = authorized instanceof Promise ? await authorized : authorized;
    if (isProviderErrorResult(outgoing)) return { result: outgoing, prepared, error: outgoing.error };
    const attempt = new Attempt(
      client,
      prepared,
      this.#limitsOf(target, remainingMs),
      shaped.received.stream,
      (headers) => this.#startStream(target, prepared, headers),
      this.#with,
    );
    attempt.begin((handler) => this.#with.upstreams.send(target.entry.address, outgoing, handler, shaped.received.stream));
    const result = await attempt.result;
    this.#noteLimits(target, attempt.headers);
    return this.#judge(target, prepared, result);
  }

  #authorize(target: ResolvedTarget, outgoing: Outgoing): Authorized | Promise<Authorized> {
    try {
      const authorized = target.entry.provider.authorize(outgoing, target.entry.account, this.#with.auth);
      return authorized instanceof Promise ? authorized.catch(noToken) : authorized;
    } catch (thrown) {
      return noToken(thrown);
    }
  }

  #limitsOf(target: ResolvedTarget, remainingMs: number): AttemptLimits {
    const { timeouts } = target.entry.account.config;
    // Nobody is left to move on to from the last target, so it may take its time.
    const slowAfterMs = target === this.#request.targets.at(-1) ? null : this.#request.route.config.routing.slowAfterMs;
    const stream = this.#request.shaped.received.stream;
    const firstByteMs = stream ? Math.min(timeouts.firstTokenMs, slowAfterMs ?? timeouts.firstTokenMs) : timeouts.responseMs;
    const { stalledClientMs, maxReplyBytes, maxStreamBytes } = this.#request.limits;
    return { firstByteMs, idleMs: timeouts.idleMs, totalMs: Math.max(1, remainingMs), stalledClientMs, maxReplyBytes, maxStreamBytes };
  }

  #startStream(target: ResolvedTarget, prepared: Prepared, headers: ResponseHeaders): void {
    this.#request.client.streamHead({
      ...this.#request.replyHeaders(target, prepared, headers, this.#outcome.attempts.length + 1),
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "x-accel-buffering": "no",
    });
  }

  #errorReply(result: Extract<AttemptResult, { kind: "failed" }>, body: Buffer): ErrorReply {
    return { status: result.status ?? 502, headers: result.headers, body: parseLoosely(body), nowMs: this.#with.nowMs() };
  }

  /** Reads a whole answer and sends it; puts the provider's words to a failure. */
  #judge(target: ResolvedTarget, prepared: Prepared, result: AttemptResult): Tried {
    if (result.kind === "failed") {
      const error = result.errorBody === null ? result.error : target.entry.provider.decodeError(this.#errorReply(result, result.errorBody));
      return { result, prepared, error };
    }
    if (result.kind === "broken") return { result, prepared, error: result.error };
    if (result.kind !== "whole") return { result, prepared, error: null };
    const whole = prepared.whole(result.bytes, result.headers);
    if (isProviderError(whole)) return { result, prepared, error: whole };
    this.#outcome.usage = whole.usage;
    this.#outcome.body = whole.body;
    const headers = this.#request.replyHeaders(target, prepared, result.headers, this.#outcome.attempts.length + 1);
    headers["content-type"] = "application/json";
    this.#request.client.reply(200, headers, whole.body);
    return { result, prepared, error: null };
  }
}

function isProviderErrorResult(value: Outgoing | AttemptResult): value is Extract<AttemptResult, { kind: "failed" }> {
  return "kind" in value;
}

export function dispatch(request: DispatchRequest, dispatcher: Dispatcher): Promise<DispatchOutcome> {
  return new Dispatch(request, dispatcher).run();
}
