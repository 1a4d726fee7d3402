/**
 * Stage: sends the gateway's own answers in the client's format: its JSON, and failures, as stream events if the stream
 * has begun.
 */

import { Buffer } from "node:buffer";
import type { CallRecord } from "../call/record.ts";
import { surfaces } from "../dialects/surfaces.ts";
import { type Failure, failures } from "../failure.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { Addressed } from "./address.ts";
import { allowedAt } from "./address.ts";
import type { AnswerHeaders } from "./answer-headers.ts";

/** A Retry-After that the SDKs obey: they wait at most 60 s. */
const maxWaitMs = 60_000;

export function answerJson(client: ClientConnection, body: object): void {
  void client.reply(
    200,
    { "content-type": "application/json", "x-request-id": client.requestId },
    JSON.stringify(body),
  );
}

/**
 * The answer has begun, so the failure becomes an event in the client's format, without an end marker. `reported`: the
 * stream already reported it.
 */
export function breakOff(
  client: ClientConnection,
  surface: Addressed["surface"],
  failed: Failure,
  reported: boolean,
  record: CallRecord,
): void {
  record.broken = true;
  record.code = failed.code;
  record.cause = failed.cause;
  const event = reported ? null : surfaces[surface].streamError(failed, client.requestId);
  if (event === "") {
    client.destroy();
    return;
  }
  if (event !== null) client.writeRaw(event);
  client.end();
}

export function answerFailure(
  client: ClientConnection,
  surface: Addressed["surface"],
  failed: Failure,
  record: CallRecord,
): void {
  const { status } = failures[failed.code];
  record.code = failed.code;
  record.status = status;
  record.cause = failed.cause;
  if (client.started) {
    breakOff(client, surface, failed, false, record);
    return;
  }
  const body = JSON.stringify(surfaces[surface].errorBody(failed, client.requestId));
  client.head(status, failureHeaders(client, failed, Buffer.byteLength(body)));
  client.end(body);
}

function failureHeaders(client: ClientConnection, failed: Failure, length: number): AnswerHeaders {
  const row = failures[failed.code];
  const headers: AnswerHeaders = {
    "content-type": "application/json",
    "content-length": length,
    "x-request-id": client.requestId,
  };
  const wait = failed.retryAfterMs;
  if (wait !== null) headers["retry-after"] = Math.max(1, Math.ceil(wait / 1000));
  const retry = wait !== null && wait > maxWaitMs ? false : row.retry;
  if (retry !== null) headers["x-should-retry"] = String(retry);
  const { requestId } = failed.theirs ?? {};
  if (typeof requestId === "string") headers["x-provider-request-id"] = requestId;
  if (row.status === 401) headers["www-authenticate"] = "Bearer";
  if (failed.code === "method_not_allowed") headers["allow"] = allowedAt(client.path).join(", ");
  return headers;
}
