/** What a provider says of a failure, and what the gateway says of one in its place: made, told from an answer, and put as the client is told. */
import type { Buffer } from "node:buffer";
import type { ProviderError, ProviderErrorClass } from "../dialects/canonical.ts";
import type { Failure, FailureCode } from "../failure.ts";
import type { ProviderAccount } from "../providers/provider.ts";
import type { AttemptCause } from "../wire/causes.ts";
import { parseJson } from "../wire/json.ts";

export function asProviderError(
  kind: ProviderErrorClass,
  code: FailureCode,
  message: string,
  upstreamStatus: number | null = null,
): ProviderError {
  return { class: kind, code, message, param: null, retryAfterMs: null, upstreamStatus };
}

export function isProviderError(value: object): value is ProviderError {
  return "class" in value && "code" in value;
}

const tokenRefused = asProviderError(
  "Unauthorized",
  "upstream_auth_error",
  "The gateway could not get a token for the provider. Ask the platform team to check its credential.",
);
/** An outage like the provider's own: others are asked instead. */
const tokenUnavailable = asProviderError(
  "Unavailable",
  "upstream_unreachable",
  "The gateway could not get a token for the provider. Try again later.",
);

/** The provider could not be called, for want of a token. */
export const noToken = (cause: AttemptCause): ProviderError =>
  cause === "token_refused" ? tokenRefused : tokenUnavailable;

/** Shorter values would take ordinary words out of a text. */
const shortestSecret = 8;

/** A provider that repeats what it was sent must not hand the account's credential to the caller, or to a log. */
export function withoutCredentials(text: string, { credentials }: Pick<ProviderAccount, "credentials">): string {
  let clean = text;
  for (const secret of Object.values(credentials)) {
    if (secret.length < shortestSecret) continue;
    for (const form of new Set([secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)]))
      clean = clean.replaceAll(form, "[credential]");
  }
  return clean;
}

/** The JSON of an error's body, or its text where it is none; without the credentials of the account that was used. */
export function parseLoosely(body: Buffer, account: Pick<ProviderAccount, "credentials">): unknown {
  const text = withoutCredentials(body.toString("utf8"), account);
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

/** Also of a refusal, for which no waiting helps. `cause`: why the connection failed, or there was no token. */
export function toFailure(
  {
    code,
    message,
    param,
    retryAfterMs = null,
  }: { code: FailureCode; message: string; param: string | null; retryAfterMs?: number | null },
  cause: AttemptCause | null = null,
): Failure {
  return { code, message, param, retryAfterMs, cause };
}
