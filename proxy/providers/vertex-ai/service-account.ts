/** A service account's key → a token: https://developers.google.com/identity/protocols/oauth2/service-account#httprest */
import { Buffer } from "node:buffer";
import { sign } from "node:crypto";
import { TokenServiceError } from "../../wire/causes.ts";
import { isObject, jsonIn } from "../../wire/json.ts";
import type { AuthEnvironment, ProviderAccount } from "../provider.ts";
import { fetchToken, tokenKeyOf } from "../token-service.ts";

export const cloudScope = "https://www.googleapis.com/auth/cloud-platform";

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Only the account and its key are taken: the address in the file would let a tenant choose where it is sent. */
function assertion(json: string, audience: string, nowMs: number): string {
  const key = jsonIn(json);
  const { client_email: email, private_key: pem, private_key_id: id } = isObject(key) ? key : {};
  const unusable = "serviceAccountJson is not the key of a service account";
  if (typeof email !== "string" || typeof pem !== "string")
    throw new TokenServiceError("token_refused", unusable, unusable);
  const seconds = Math.floor(nowMs / 1_000);
  const claims = { iss: email, scope: cloudScope, aud: audience, iat: seconds, exp: seconds + 3_600 };
  const text = `${encoded({ alg: "RS256", typ: "JWT", ...(typeof id === "string" ? { kid: id } : {}) })}.${encoded(claims)}`;
  try {
    return `${text}.${sign("sha256", Buffer.from(text), pem).toString("base64url")}`;
  } catch {
    throw new TokenServiceError("token_refused", unusable, unusable);
  }
}

export function accountTokenKey(account: ProviderAccount): string {
  return tokenKeyOf("google", [account.config.options["tokenUrl"], account.credentials["serviceAccountJson"]], account);
}

export function accountToken(account: ProviderAccount, env: AuthEnvironment): Promise<string> {
  return env.token(accountTokenKey(account), async () => {
    const url = `${account.config.options["tokenUrl"] ?? ""}/token`;
    const form = {
      grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
      assertion: assertion(account.credentials["serviceAccountJson"] ?? "", url, env.nowMs()),
    };
    return fetchToken(url, form, account, env);
  });
}
