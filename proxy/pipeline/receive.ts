/** Stage: the body, read once and parsed once. */
import type { Buffer } from "node:buffer";
import { parseBody, parseFormBody, type Received } from "../call/received.ts";
import type { BodyLimits } from "../config/body-limits.ts";
import { type Failure, failure, isFailure } from "../failure.ts";
import { isForm } from "../media/form.ts";
import type { MediaFormat } from "../media/format.ts";
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

interface Bounds extends ReadBounds {
  limits?: BodyLimits;
  /** json if absent. */
  accepts?: MediaFormat["body"];
}

const wrongTypes: Readonly<Record<MediaFormat["body"], string>> = {
  json: "Send the request body as application/json.",
  form: "Send the request body as multipart/form-data.",
  either: "Send the request body as multipart/form-data or application/json.",
};

/** The type of a form, or "" for JSON; a failure for what the operation doesn't take. */
export function formIn(contentType: string | null, accepts: MediaFormat["body"]): string | Failure {
  if (contentType !== null && isForm(contentType) && accepts !== "json") return contentType;
  return accepts === "form" || !isJson(contentType) ? failure("unsupported_media_type", wrongTypes[accepts]) : "";
}

/** Synchronous if all of the body has arrived. */
export function receive(
  client: Unambiguous,
  maxBodyBytes: number,
  needed: string,
  bounds: Bounds = {},
): Received | Failure | Promise<Received | Failure> {
  const contentType = client.header("content-type");
  const { accepts = "json" } = bounds;
  const form = formIn(contentType, accepts);
  if (typeof form !== "string") return form;
  if (client.header("content-encoding") !== null)
    return failure("unsupported_media_type", "Send the request body without content-encoding.");
  const body = client.readBody(maxBodyBytes, orRaise, bounds);
  return body instanceof Promise
    ? body.then((read) => readable(read, needed, form, bounds.limits))
    : readable(body, needed, form, bounds.limits);
}

function readable(
  body: Buffer | Failure,
  needed: string,
  form: string,
  limits: BodyLimits | undefined,
): Received | Failure {
  if (isFailure(body)) return body;
  if (body.length === 0)
    return failure(
      "empty_body",
      `The request has no body. Send ${form === "" ? "a JSON object" : "a form"} with \`${needed}\`.`,
      { param: needed },
    );
  return form === "" ? parseBody(body, limits) : parseFormBody(body, form);
}
