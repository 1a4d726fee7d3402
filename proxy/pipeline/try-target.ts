/**
 * Part of dispatch: one attempt at one target from end to end. Translates the request for the provider, adds its
 * credential and sends it. At the end, the answer was sent to the client, or the kind of failure is known.
 */

import type { Buffer } from "node:buffer";
import type { AttemptPeer } from "../call/call-trace.ts";
import type { ProviderError } from "../dialects/canonical.ts";
import { isWithoutSummary, noSummary } from "../dialects/verdict/summary.ts";
import { isWithheld, withheld } from "../dialects/verdict/withheld.ts";
import type { Failure } from "../failure.ts";
import { authorizedCall } from "../providers/authorized-call.ts";
import type { AuthEnvironment, ErrorReply, Outgoing, ProviderAccount } from "../providers/provider.ts";
import { exhaustedForMs } from "../providers/rate-limits.ts";
import type { PodSeat } from "../routing/pools.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { tokenCauseOf } from "../wire/causes.ts";
import { FilterError } from "../wire/reply-filter.ts";
import type { ResponseHeaders } from "../wire/upstream.ts";
import { asEventStream } from "./answer-headers.ts";
import { Attempt } from "./attempt.ts";
import type { AttemptLimits, AttemptResult, StartStream } from "./attempt-result.ts";
import type { Dispatcher, DispatchRequest } from "./dispatch-request.ts";
import { type Choice, chooseServer, type NoChoice } from "./pick-server.ts";
import { prepare } from "./prepare.ts";
import type { Prepared } from "./prepared.ts";
import { asProviderError, cleanHeaders, isProviderError, noToken, parseLoosely } from "./provider-error.ts";
import type { WholeReply } from "./whole-reply.ts";

type Failed = Extract<AttemptResult, { kind: "failed" }>;

export interface Tried {
  result: AttemptResult;
  prepared: Prepared;
  /** The failure, including the provider's error text. */
  error: ProviderError | null;
  /** A whole answer, as sent to the client. */
  whole: WholeReply | null;
}

const nothingSent = { sent: false, usage: null, usageIsFinal: false, contentLength: 0, refused: false };

/** Returns the request with its credential, or why there is none. */
type Authorized = Outgoing | Failed;

function unauthorized(thrown: unknown): Authorized {
  const cause = tokenCauseOf(thrown);
  return { kind: "failed", error: noToken(cause), cause, status: null, headers: {}, errorBody: null, ...nothingSent };
}

const isFailed = (value: Authorized): value is Failed => "kind" in value;

function authorize(
  { entry }: ResolvedTarget,
  outgoing: Outgoing,
  auth: AuthEnvironment,
): Authorized | Promise<Authorized> {
  try {
    const authorized = authorizedCall(entry, outgoing, auth);
    return authorized instanceof Promise ? authorized.catch(unauthorized) : authorized;
  } catch (thrown) {
    return unauthorized(thrown);
  }
}

/** The last target's answer is passed on as it is. */
const failsIfWithheld = (
  target: ResolvedTarget,
  { fallbackOn }: DispatchRequest["route"]["config"]["routing"],
  targets: readonly ResolvedTarget[],
): boolean => fallbackOn.includes("ContentPolicy") && target !== targets.at(-1);

function limitsOf(
  target: ResolvedTarget,
  remainingMs: number,
  count: number,
  { targets, route, shaped, limits, deadlineIsCallers }: DispatchRequest,
): AttemptLimits {
  const { timeouts } = target.entry.account.config;
  // No target is left after the last one, so it gets more time.
  const slowAfterMs = target === targets.at(-1) ? null : route.config.routing.slowAfterMs;
  const firstByteMs = shaped.received.stream
    ? Math.min(timeouts.firstTokenMs, slowAfterMs ?? timeouts.firstTokenMs)
    : timeouts.responseMs;
  const { stalledClientMs, maxReplyBytes, maxStreamBytes } = limits;
  return {
    firstByteMs,
    withheldFails: failsIfWithheld(target, route.config.routing, targets),
    slowIsLate: slowAfterMs !== null && slowAfterMs < timeouts.firstTokenMs,
    idleMs: timeouts.idleMs,
    totalMs: Math.max(1, remainingMs),
    totalIsShortened: deadlineIsCallers === true || count > 1,
    stalledClientMs,
    maxReplyBytes,
    maxStreamBytes,
  };
}

export function errorReply(
  { status, headers }: Failed,
  body: Buffer,
  account: Pick<ProviderAccount, "credentials" | "additions">,
  nowMs: number,
): ErrorReply {
  return { status: status ?? 502, headers: cleanHeaders(headers, account), body: parseLoosely(body, account), nowMs };
}

const peers = new WeakMap<ResolvedTarget, AttemptPeer>();

function peerOf(target: ResolvedTarget): AttemptPeer {
  const cached = peers.get(target);
  if (cached !== undefined) return cached;
  const { entry, model } = target;
  const { genAiName, type } = entry.provider.capabilities;
  const provider = genAiName ?? type.toLowerCase();
  const peer = { provider, model: model.config.upstream, origin: entry.address.origin };
  peers.set(target, peer);
  return peer;
}

/** An attempt that was sent. */
export interface Asked {
  prepared: Prepared;
  attempt: Attempt;
  /** null unless an endpoint picker waits for the end. */
  choice: Choice | null;
}

/**
 * Sends the request. Returns the result if it could not be sent, or a Failure if this target could not be asked at all.
 * Returns a promise only if the credential has to be waited for. `count`: number of attempts, including this one.
 */
export function ask(
  target: ResolvedTarget,
  request: DispatchRequest,
  count: number,
  dispatcher: Dispatcher,
  seat: PodSeat | null,
): Asked | Tried | Failure | Promise<Asked | Tried> {
  const remainingMs = request.deadlineMs - dispatcher.deadlines.nowMs();
  const { client } = request;
  const shaped = request.shaped.forTarget(target.config);
  const { stream } = shaped.received;
  const prepared = prepare(shaped, target, {
    requestId: client.requestId,
    nowMs: dispatcher.nowMs(),
    deadlineMs: remainingMs,
    maxEventBytes: stream ? request.limits.maxReplyBytes : undefined,
    forwarded: request.forwarded,
    sealer: request.sealer,
    keepItems: request.keepItems,
  });
  if (!("outgoing" in prepared)) return prepared;
  const { trace } = request;
  if (trace) prepared.outgoing.headers["traceparent"] = trace.attemptBegins(peerOf(target));
  const authorized = authorize(target, prepared.outgoing, dispatcher.auth);
  const sending: Sending = { target, prepared, remainingMs, request, count, dispatcher, seat, choice: null };
  if (seat !== null && target.entry.account.config.pool?.picker !== undefined)
    return sendPicked(authorized, sending, seat);
  return authorized instanceof Promise ? sendLater(authorized, sending) : send(authorized, sending);
}

/** A request that is ready to be sent, and its target. */
interface Sending {
  target: ResolvedTarget;
  prepared: Prepared;
  remainingMs: number;
  request: DispatchRequest;
  count: number;
  dispatcher: Dispatcher;
  seat: PodSeat | null;
  /** null if the proxy chose the server, or there is no choice. */
  choice: Choice | null;
}

/** A separate function: a closure would be allocated for every call. */
async function sendLater(authorized: Promise<Authorized>, sending: Sending): Promise<Asked | Tried> {
  return send(await authorized, sending);
}

function unpicked({ error, cause, answer }: NoChoice, { target, prepared, dispatcher }: Sending): Tried {
  const { entry } = target;
  const failed: Failed = {
    kind: "failed",
    ...{ error, cause, status: answer?.status ?? null, headers: {}, errorBody: answer?.body ?? null },
    ...nothingSent,
  };
  const described =
    answer === null
      ? error
      : entry.provider.decodeError(errorReply(failed, answer.body, entry.account, dispatcher.nowMs()));
  return { result: failed, prepared, error: described, whole: null };
}

/** The credential is never shown to the picker. */
async function sendPicked(
  authorizing: Authorized | Promise<Authorized>,
  sending: Sending,
  seat: PodSeat,
): Promise<Asked | Tried> {
  const outgoing = await authorizing;
  if (isFailed(outgoing)) return send(outgoing, sending);
  const { target, request, dispatcher } = sending;
  const left = (): number => request.deadlineMs - dispatcher.deadlines.nowMs();
  const choice = await chooseServer({
    ...{ target, outgoing, seat, pickers: dispatcher.pickers, requestId: request.client.requestId },
    remainingMs: Math.max(1, left()),
  });
  if ("error" in choice) return unpicked(choice, sending);
  return send(choice.outgoing, { ...sending, choice, remainingMs: left() });
}

/** A keep-alive comment may have begun the stream already. */
function streamStart(target: ResolvedTarget, prepared: Prepared, request: DispatchRequest, count: number): StartStream {
  const { client } = request;
  return (headers) => {
    if (client.started) return;
    const out = request.replyHeaders(target, prepared, headers, count);
    const type = prepared.fileType?.(headers) ?? null;
    client.streamHead(type === null ? asEventStream(out) : { ...out, "content-type": type });
  };
}

function send(outgoing: Authorized, sending: Sending): Asked | Tried {
  const { target, prepared, remainingMs, request, count, dispatcher, seat, choice } = sending;
  if (isFailed(outgoing)) return { result: outgoing, prepared, error: outgoing.error, whole: null };
  const { stream } = request.shaped.received;
  const start = stream ? streamStart(target, prepared, request, count) : null;
  const limits = limitsOf(target, remainingMs, count, request);
  const attempt = new Attempt(request.client, prepared, limits, start, dispatcher.deadlines);
  const { upstreams } = dispatcher;
  attempt.begin(choice?.reporting(upstreams) ?? upstreams, seat?.pod.address ?? target.entry.address, outgoing);
  return { prepared, attempt, choice };
}

/** Moves a provider whose rate limit is exhausted to the end of the order for a while. */
export function noteUsedUp(target: ResolvedTarget, headers: ResponseHeaders, { routing, nowMs }: Dispatcher): void {
  const waitMs = exhaustedForMs(headers, nowMs());
  if (waitMs !== null) routing.spare(target, waitMs);
}

/**
 * Reads and sends a whole answer; adds the provider's text to a failure. Returns a promise only if sending takes a
 * moment.
 */
export function judge(
  target: ResolvedTarget,
  prepared: Prepared,
  result: AttemptResult,
  request: DispatchRequest,
  count: number,
  { nowMs }: Dispatcher,
): Tried | Promise<Tried> {
  if (result.kind === "failed") {
    const { errorBody } = result;
    const error =
      errorBody === null
        ? result.error
        : target.entry.provider.decodeError(errorReply(result, errorBody, target.entry.account, nowMs()));
    return { result, prepared, error, whole: null };
  }
  if (result.kind === "broken") return { result, prepared, error: result.error, whole: null };
  if (result.kind !== "whole") return { result, prepared, error: null, whole: null };
  const whole = prepared.whole(result.bytes, result.headers);
  if (isProviderError(whole)) return { result, prepared, error: whole, whole: null };
  if (failsIfWithheld(target, request.route.config.routing, request.targets) && isWithheld(whole.body))
    return { result, prepared, error: withheld, whole };
  if (request.shaped.compaction && isWithoutSummary(whole.body)) return { result, prepared, error: noSummary, whole };
  const headers = request.replyHeaders(target, prepared, result.headers, count);
  headers["content-type"] = whole.contentType ?? "application/json";
  const sent: Tried = { result, prepared, error: null, whole };
  try {
    const sending = request.client.reply(200, headers, whole.body);
    return sending instanceof Promise ? sentLater(sending, sent) : sent;
  } catch (cause) {
    return unsent(cause, sent);
  }
}

async function sentLater(sending: Promise<void>, sent: Tried): Promise<Tried> {
  try {
    await sending;
    return sent;
  } catch (cause) {
    return unsent(cause, sent);
  }
}

/**
 * The result of an answer that a filter refused. It has been paid for, and another answer would be as long, so no other
 * target is asked.
 */
function unsent(cause: unknown, { result, prepared }: Tried): Tried {
  if (!(cause instanceof FilterError)) throw cause;
  const { code, message } = cause.failure;
  return { result, prepared, error: asProviderError("BadRequest", code, message), whole: null };
}
