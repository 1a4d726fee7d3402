/** Services where a credential is exchanged for a token by a form (OAuth 2.0, RFC 6749 section 4.4 and its kin). */
import { createHash } from "node:crypto";
import { TokenServiceError } from "../wire/causes.ts";
import { isObject, jsonIn } from "../wire/json.ts";
import type { AuthEnvironment, ProviderAccount } from "./provider.ts";

/** Names the token in the cache: made of a digest, since it must hold no secret. Who trusts others than the public authorities has tokens of its own. */
export function tokenKeyOf(
  kind: string,
  parts: readonly (string | undefined)[],
  { config, tokenTls }: ProviderAccount,
): string {
  const all = tokenTls === undefined ? parts : [...parts, config.id];
  return `${kind}:${createHash("sha256").update(all.join("\n")).digest("hex")}`;
}

/** Where the service doesn't say for how long its token is good. */
const defaultLifeSeconds = 300;

/** Whatever is no length of time counts as not said: a token good for no time would be fetched for each call. */
function lifeSecondsOf(said: unknown): number {
  const seconds = Number(said);
  return Number.isFinite(seconds) && seconds > 0 ? seconds : defaultLifeSeconds;
}

/** Statuses that say nothing of the credential: too slow, too many calls, an outage. */
const passing = (status: number): boolean => status === 408 || status === 429 || status >= 500;

function reasonOf(status: number): TokenServiceError["reason"] {
  if (passing(status)) return "token_failed";
  return status >= 400 ? "token_refused" : "token_invalid";
}

/**
 * One call to the service. Fails with a TokenServiceError where it answers with no token, else with the connection's error;
 * neither holds anything that was sent or answered.
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
