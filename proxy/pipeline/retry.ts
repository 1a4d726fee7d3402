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
  // A model that is not there says nothing of the others.
  NotFound: null,
  BadRequest: null,
};

/** What a failure says of the target's health, as breakers call it; null: nothing. */
export const healthClassOf = (error: ProviderError): FailureClass | null => healthClasses[error.class];

/** Refusals of the request that another model or provider may not share. */
const refusals: Partial<Record<FailureCode, FailureClass>> = {
  context_length_exceeded: "ContextLength",
  content_filter: "ContentPolicy",
};

/** As `fallbackOn` calls it; null: the request is at fault, and would be anywhere. */
export function fallbackClassOf(error: ProviderError): FailureClass | null {
  if (error.class === "NotFound") return "Unavailable";
  if (error.class === "BadRequest") return refusals[error.code] ?? null;
  return healthClasses[error.class];
}

/** Failures of which the same target may be asked again; the others are better asked elsewhere. */
const retryable: ReadonlySet<ProviderError["class"]> = new Set(["Unavailable", "ServerError", "RateLimited"]);

/** The official SDKs say how often they have tried again themselves: what they repeat is not multiplied. */
function callerRetries({ client }: DispatchRequest): boolean {
  return Number(client.header("x-stainless-retry-count") ?? 0) > 0;
}

/** Milliseconds to wait before asking the same target again; null: don't. `attempt`: 1 for the first at this target. */
export function retryDelayMs(
  target: ResolvedTarget,
  error: ProviderError,
  attempt: number,
  request: DispatchRequest,
  dispatcher: Dispatcher,
): number | null {
  const { retry } = target.entry.account.config;
  // What the caller caused would happen again.
  if (attempt >= (callerRetries(request) ? 1 : retry.attempts) || error.fault === "caller") return null;
  const elsewhere = request.targets.length > 1 && error.class === "RateLimited";
  if (!retryable.has(error.class) || elsewhere || !dispatcher.routing.mayRetry(target)) return null;
  const backoff = Math.min(retry.maxDelayMs, retry.initialDelayMs * retry.multiplier ** (attempt - 1));
  const jittered = backoff * (1 - retry.jitter * dispatcher.random());
  // Nor before its hold-back is over, or nobody would let the attempt through.
  // A timer may be a millisecond early by the clock on the wall, by which the hold-back ends.
  const held = dispatcher.routing.heldMs(target, request.caller);
  const delay = Math.max(jittered, error.retryAfterMs ?? 0, held === 0 ? 0 : held + 2);
  const affordable = delay <= retry.maxDelayMs && dispatcher.nowMs() + delay < request.deadlineMs;
  return affordable ? delay : null;
}

/** false where the client went away meanwhile. */
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
