/**
 * Counts the tokens of a prompt: the first target that can be asked counts them, if its provider has a call for that.
 * Otherwise, and where the provider doesn't answer in time, the gateway estimates.
 */
import type { Shaped } from "../call/shaped.ts";
import { type ChatRequest, isRefusal } from "../dialects/canonical.ts";
import { estimatePromptTokens } from "../dialects/estimate.ts";
import { authorizedCall } from "../providers/authorized-call.ts";
import { boundedRequest } from "../providers/bounds.ts";
import type { Outgoing, TokenCountCall } from "../providers/provider.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { jsonIn } from "../wire/json.ts";
import type { Dispatcher } from "./dispatch-request.ts";
import { sendSmall } from "./small-call.ts";

export interface TokenCount {
  tokens: number;
  estimated: boolean;
}

/** How long a provider may take, in milliseconds. */
const waitMs = 5_000;

export const estimatedCount = (request: ChatRequest): TokenCount => ({
  tokens: estimatePromptTokens(request),
  estimated: true,
});

/** The request to send to a target; null if its provider can't count tokens. */
export function countCall(shaped: Shaped, request: ChatRequest, target: ResolvedTarget): TokenCountCall | null {
  const { provider, account } = target.entry;
  const own = boundedRequest(request, provider.capabilities.bounds).request;
  const body = { ...shaped.received.json, ...shaped.edits };
  const call = provider.tokenCount?.({ request: own, body, format: shaped.format }, account, target.model) ?? null;
  return call === null || isRefusal(call) ? null : call;
}

async function ask(
  call: TokenCountCall,
  target: ResolvedTarget,
  forwarded: Record<string, string>,
  { upstreams, auth }: Dispatcher,
): Promise<number | null> {
  const { provider, account } = target.entry;
  const own = provider.passthroughHeaders?.(forwarded, account, target.model) ?? forwarded;
  const outgoing: Outgoing = {
    method: "POST",
    path: call.path,
    headers: { ...own, "content-type": "application/json" },
    body: call.body,
  };
  const authorized = await authorizedCall(target.entry, outgoing, auth);
  const late = AbortSignal.timeout(waitMs);
  const reply = await sendSmall(upstreams, target.entry.address, authorized, late, () => undefined);
  if (reply === null || reply.status < 200 || reply.status >= 300) return null;
  return call.read(jsonIn(reply.body.toString("utf8")));
}

export interface CountRequest {
  request: ChatRequest;
  target: ResolvedTarget;
  call: TokenCountCall;
  caller: string;
  forwarded: Record<string, string>;
}

/** Says nothing about the target's health: a provider may limit this call more strictly than others. */
export async function countTokens(
  { request, target, call, caller, forwarded }: CountRequest,
  dispatcher: Dispatcher,
): Promise<TokenCount> {
  const permit = await dispatcher.routing.acquire(target, 0, caller);
  if (permit === null) return estimatedCount(request);
  try {
    const tokens = await ask(call, target, forwarded, dispatcher);
    return tokens === null ? estimatedCount(request) : { tokens, estimated: false };
  } catch {
    // The credential could not be obtained.
    return estimatedCount(request);
  } finally {
    permit.released();
  }
}
