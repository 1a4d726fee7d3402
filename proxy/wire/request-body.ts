/** Reads a request's whole body, or says why it could not. */
import { type Buffer, isUtf8 } from "node:buffer";
import { type Failure, failure } from "../failure.ts";
import type { ClientExchange } from "./client-exchange.ts";
import type { Body, ReadBounds } from "./gathered-body.ts";

/**
 * Reads at most `maxBytes` of UTF-8; synchronously if all of it has arrived. Refuses a body as soon as it is known to
 * be too large. `orElse`: a remedy other than sending less, for the message.
 */
export function readBody(
  request: Pick<ClientExchange, "headers" | "whole">,
  maxBytes: number,
  orElse: string,
  bounds: ReadBounds = {},
): Buffer | Failure | Promise<Buffer | Failure> {
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > maxBytes) return tooLarge(maxBytes, orElse);
  const body = request.whole(maxBytes, bounds);
  return body instanceof Promise
    ? body.then((read) => wellFormed(read, maxBytes, orElse))
    : wellFormed(body, maxBytes, orElse);
}

export const tooSlow = failure(
  "request_timeout",
  "The request body arrived too slowly. Send it over a faster connection.",
);

function wellFormed(body: Body, maxBytes: number, orElse: string): Buffer | Failure {
  if (body === "too_large") return tooLarge(maxBytes, orElse);
  if (body === "gone") return failure("client_closed_request", "The client went away while sending its request.");
  if (body === "no_room")
    return failure("overloaded", "The gateway has no memory for more of this request's body. Try again in a moment.", {
      retryAfterMs: 1_000,
    });
  if (body === "too_slow") return tooSlow;
  return isUtf8(body)
    ? body
    : failure("invalid_utf8", "The request body is not valid UTF-8. Send JSON encoded as UTF-8.");
}

function tooLarge(maxBytes: number, orElse: string): Failure {
  return failure(
    "request_too_large",
    `The request body is larger than ${maxBytes} bytes. Send a smaller one${orElse}.`,
  );
}
