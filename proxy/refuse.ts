/** Refusals before any stage of a call: this proxy can't serve it, but another proxy can, or this one in a moment. */
import { Buffer } from "node:buffer";
import { surfaceOf } from "./dialects/surfaces.ts";
import { failure, failures } from "./failure.ts";
import type { ClientConnection } from "./wire/client.ts";

const messages = {
  not_ready: "The gateway has no configuration yet. Try again in a moment.",
  draining: "The gateway is being restarted. Try again.",
};

const retryAfterMs = 1_000;

export function refuse(client: ClientConnection, code: keyof typeof messages): void {
  const failed = failure(code, messages[code], { retryAfterMs });
  const { status, retry } = failures[code];
  const body = JSON.stringify(surfaceOf(client.path).errorBody(failed, client.requestId));
  client.head(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "x-request-id": client.requestId,
    "retry-after": retryAfterMs / 1_000,
    "x-should-retry": String(retry),
  });
  client.end(body);
}
