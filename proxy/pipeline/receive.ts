/** Stage: the body, read once and parsed once. */
import type { Buffer } from "node:buffer";
import { parseBody, type Received } from "../call/received.ts";
import type { BodyLimits } from "../config/body-limits.ts";
import { type Failure, failure } from "../failure.ts";
import type { ReadBounds } from "../wire/gathered-body.ts";
import type { Unambiguous } from "./proof.ts";

function isJson(contentType: string | null): boolean {
  // A missing content type means JSON: people try a gateway with `curl -d` and no -H.
  if (contentType === null || contentType === "application/json") return true;
  const type = contentType.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  return type === "application/json" || type.endsWith("+json") || type === "application/x-www-form-urlencoded";
}

/** The installation's limit, with the setting's name for the platform team. */
const orRaise = ", or ask the platform team to raise proxy.maxBodyBytes in the gateway's Helm values";

/** Synchronous if all of the body has arrived. */
export function receive(
  client: Unambiguous,
  maxBodyBytes: number,
  needed: string,
  bounds: ReadBounds & { limits?: BodyLimits } = {},
): Received | Failure | Promise<Received | Failure> {
  if (!isJson(client.header("content-type")))
    return failure("unsupported_media_type", "Send the request body as application/json.");
  if (client.header("content-encoding") !== null)
    return failure("unsupported_media_type", "Send the request body without content-encoding.");
  const body = client.readBody(maxBodyBytes, orRaise, bounds);
  return body instanceof Promise
    ? body.then((read) => readable(read, needed, bounds.limits))
    : readable(body, needed, bounds.limits);
}

function readable(body: Buffer | Failure, needed: string, limits: BodyLimits | undefined): Received | Failure {
  if ("code" in body) return body;
  if (body.length === 0)
    return failure("empty_body", `The request has no body. Send a JSON object with \`${needed}\`.`, { param: needed });
  return parseBody(body, limits);
}
