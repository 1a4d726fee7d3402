/** Part of dispatch: what a failed attempt means for the next one. */
import type { FailureClass } from "../config/route.ts";
import type { ProviderError } from "../dialects/canonical.ts";
import type { FailureCode } from "../failure.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { Dispatcher, DispatchRequest } from "./dispatch-request.ts";

const healthClasses: Readonly<Record<ProviderError["class"], FailureClass | null>> = {
  RateLimited: "RateLimited",
  Unavailable: "Unavailable",
  Timeout: "Timeout",
  ServerError: "ServerError",
  Unauthorized: "Unauthorized",
  // A missing model says nothing about the others.
  NotFound: null,
  BadRequest: null,
};

/** What a failure says about the target's health, in the breaker's terms; null for nothing. */
export const healthClassOf = (error: ProviderError): FailureClass | null => healthClasses[error.class];

/** Refusals of the request that might not occur at another model or provider. */
const refusals: Partial<Record<FailureCode, FailureClass>> = {
  context_length_exceeded: "ContextLength",
  content_filter: "ContentPolicy",
};

/** The class in `fallbackOn`'s terms; null if the request itself is at fault and would fail anywhere. */
export function fallbackClassOf(error: ProviderError): FailureClass | null {
  if (error.class === "NotFound") return "Unavailable";
  if (error.class === "BadRequest") return refusals[error.code] ?? null;
  return healthClasses[error.class];
}

/** Failures after which the same target may be asked again; after others, another target is the better choice. */
const retryable: ReadonlySet<ProviderError["class"]> = new Set(["Unavailable", "ServerError", "RateLimited"]);

/** The official SDKs send how often they have retried; the gateway doesn't multiply their retries. */
function callerRetries({ client }: DispatchRequest): boolean {
  return Number(client.header("x-stainless-retry-count") ?? 0) > 0;
}

/**
 * Milliseconds to wait before asking the same target again; null not to ask it. `attempt`: 1 for the first at this
 * target.
 */
export function retryDelayMs(
  target: ResolvedTarget,
  error: ProviderError,
  attempt: number,
  request: DispatchRequest,
  dispatcher: Dispatcher,
): number | null {
  const { retry } = target.entry.account.config;
  // A failure that the caller caused would recur.
  if (attempt >= (callerRetries(request) ? 1 : retry.attempts) || error.fault === "caller") return null;
  const elsewhere = request.targets.length > 1 && error.class === "RateLimited";
  if (!retryable.has(error.class) || elsewhere || !dispatcher.routing.mayRetry(target)) return null;
  const backoff = Math.min(retry.maxDelayMs, retry.initialDelayMs * retry.multiplier ** (attempt - 1));
  const jittered = backoff * (1 - retry.jitter * dispatcher.random());
  // Don't retry before the hold-back is over either: the attempt would not be let through.
  // The hold-back ends by wall-clock time, by which a timer may fire a millisecond early.
  const held = dispatcher.routing.heldMs(target, request.caller);
  const delay = Math.max(jittered, error.retryAfterMs ?? 0, held === 0 ? 0 : held + 2);
  const affordable = delay <= retry.maxDelayMs && dispatcher.deadlines.nowMs() + delay < request.deadlineMs;
  return affordable ? delay : null;
}

/** Returns false if the client disconnected meanwhile. */
export function pause(client: ClientConnection, delayMs: number): Promise<boolean> {
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
