/**
 * Failures as providers report them, and the gateway's own in the same form: creates them, reads them from answers, and
 * words them for clients.
 */
import type { Buffer } from "node:buffer";
import type { ProviderError, ProviderErrorClass } from "../dialects/canonical.ts";
import { type Failure, type FailureCode, failure } from "../failure.ts";
import { accountSecrets } from "../providers/account.ts";
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
/** Treated like an outage of the provider: other targets are asked instead. */
const tokenUnavailable = asProviderError(
  "Unavailable",
  "upstream_unreachable",
  "The gateway could not get a token for the provider. Try again later.",
);

/** Treated as unavailable: no call can have caused it, and a role's permissions change outside the gateway. */
const identityRefused = asProviderError(
  "Unavailable",
  "upstream_auth_error",
  "The gateway could not get an identity for the provider from its cloud. Ask the platform team to check it.",
);

/** The provider could not be called because no token was available. */
export function noToken(cause: AttemptCause): ProviderError {
  if (cause === "token_identity_refused") return identityRefused;
  return cause === "token_refused" ? tokenRefused : tokenUnavailable;
}

/** Shortest value that is removed: shorter ones would remove ordinary words from a text. */
const minSecretLength = 8;

/** Removes the account's credentials: a provider may repeat them in a text for the caller or a log. */
export function withoutCredentials(text: string, account: Pick<ProviderAccount, "credentials" | "additions">): string {
  let clean = text;
  for (const secret of accountSecrets(account)) {
    if (secret.length < minSecretLength) continue;
    for (const form of new Set([secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)]))
      clean = clean.replaceAll(form, "[credential]");
  }
  return clean;
}

/** The same for a response's headers. Returns the same object if they contain no credentials. */
export function cleanHeaders<Headers extends Record<string, unknown>>(
  headers: Headers,
  account: Pick<ProviderAccount, "credentials" | "additions">,
): Headers {
  let clean: Record<string, unknown> = headers;
  for (const name in headers) {
    const value: unknown = headers[name];
    if (value === undefined || typeof value === "number") continue;
    const text = String(value);
    const without = withoutCredentials(text, account);
    if (without === text) continue;
    if (clean === headers) clean = { ...headers };
    clean[name] = without;
  }
  return clean as Headers;
}

/** Returns an error body's JSON, or its text if it isn't JSON, without the credentials of the account used. */
export function parseLoosely(body: Buffer, account: Pick<ProviderAccount, "credentials" | "additions">): unknown {
  const text = withoutCredentials(body.toString("utf8"), account);
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

/** Also used for refusals that waiting doesn't help. `cause`: why the connection failed, or no token was available. */
export function toFailure(
  {
    code,
    message,
    param,
    retryAfterMs = null,
  }: { code: FailureCode; message: string; param: string | null; retryAfterMs?: number | null },
  cause: AttemptCause | null = null,
): Failure {
  return { ...failure(code, message, { retryAfterMs }), param, cause };
}
