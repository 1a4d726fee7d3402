/** Services that exchange a credential for a token by a form post (OAuth 2.0, RFC 6749 section 4.4, and similar). */
import { createHash } from "node:crypto";
import { TokenServiceError } from "../wire/causes.ts";
import { isObject, jsonIn } from "../wire/json.ts";
import type { AuthEnvironment, ProviderAccount } from "./provider.ts";

/**
 * The token's cache key, a digest, since it must hold no secret. Accounts with other trusted authorities have separate
 * tokens.
 */
export function tokenKeyOf(
  kind: string,
  parts: readonly (string | undefined)[],
  { config, tokenTls }: ProviderAccount,
): string {
  const all = tokenTls === undefined ? parts : [...parts, config.id];
  return `${kind}:${createHash("sha256").update(all.join("\n")).digest("hex")}`;
}

/** Used if the service doesn't state the token's lifetime. */
const defaultLifeSeconds = 300;

/** An invalid lifetime is treated as absent: a token with no lifetime would be fetched for each call. */
function lifeSecondsOf(said: unknown): number {
  const seconds = Number(said);
  return Number.isFinite(seconds) && seconds > 0 ? seconds : defaultLifeSeconds;
}

/** Statuses that say nothing about the credential: timeout, rate limit, outage. */
const passing = (status: number): boolean => status === 408 || status === 429 || status >= 500;

function reasonOf(status: number): TokenServiceError["reason"] {
  if (passing(status)) return "token_failed";
  return status >= 400 ? "token_refused" : "token_invalid";
}

/**
 * One call to the service. Fails with a TokenServiceError if the answer has no token, or with the connection's error.
 * Neither contains anything that was sent or received.
 */
export async function fetchToken(
  url: string,
  form: Readonly<Record<string, string>>,
  account: ProviderAccount,
  env: AuthEnvironment,
): Promise<{ value: string; expiresAtMs: number }> {
  const { status, body: text } = await env.send(url, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
    body: new URLSearchParams(form).toString(),
    allowPrivate: account.config.allowPrivateEndpoint,
    tls: account.tokenTls ?? null,
  });
  const body = status === 200 ? jsonIn(text) : null;
  if (!isObject(body) || typeof body["access_token"] !== "string" || body["access_token"] === "")
    throw new TokenServiceError(reasonOf(status), `the token service answered ${status}`);
  return { value: body["access_token"], expiresAtMs: env.nowMs() + lifeSecondsOf(body["expires_in"]) * 1000 };
}
