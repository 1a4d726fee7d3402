/**
 * Headers of a successful answer: those passed through from the provider, and the gateway's own about how the call was
 * served.
 */
import type { CallRecord } from "../call/record.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { ClientConnection } from "../wire/client.ts";
import { replyHeaders } from "../wire/headers.ts";
import type { ResponseHeaders } from "../wire/upstream.ts";
import type { Prepared } from "./prepared.ts";
import { cleanHeaders } from "./provider-error.ts";

export type AnswerHeaders = Record<string, string | number>;

interface Answered {
  client: ClientConnection;
  record: CallRecord;
  /** The target's name. */
  target: string;
  dropped: readonly string[];
}

/** Headers of every successful answer, from a provider or from the cache. */
export function addGatewayHeaders(headers: AnswerHeaders, { client, record, target, dropped }: Answered): void {
  headers["x-request-id"] = client.requestId;
  headers["x-provider-used"] = target;
  if (record.cache !== null) headers["x-sluice-cache"] = record.cache;
  if (dropped.length > 0) headers["x-sluice-dropped-params"] = dropped.join(",");
}

/** `attempts`: how many were made, including the successful one. */
export function answerHeaders(
  client: ClientConnection,
  record: CallRecord,
  target: ResolvedTarget,
  prepared: Prepared,
  upstream: ResponseHeaders,
  attempts: number,
): AnswerHeaders {
  const passed: AnswerHeaders = {};
  if (!prepared.translated) replyHeaders(upstream, passed);
  const headers = cleanHeaders(passed, target.entry.account);
  addGatewayHeaders(headers, { client, record, target: target.config.name, dropped: prepared.dropped });
  if (client.header("x-sluice-attempts") !== null) headers["x-sluice-attempts"] = attempts;
  const sunset = target.model.config.sunset;
  if (sunset !== null) headers["sunset"] = new Date(`${sunset}T00:00:00Z`).toUTCString();
  return headers;
}

/** Headers of a stream, which intermediaries must neither cache nor buffer. */
export function asEventStream(headers: AnswerHeaders): AnswerHeaders {
  headers["content-type"] = "text/event-stream; charset=utf-8";
  headers["cache-control"] = "no-cache";
  headers["x-accel-buffering"] = "no";
  return headers;
}
