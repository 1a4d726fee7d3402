/** IBM Cloud's token service: https://cloud.ibm.com/apidocs/iam-identity-token-api#gettoken-apikey */
import { createHash } from "node:crypto";
import { isObject } from "../classify.ts";
import type { AuthEnvironment, ProviderAccount } from "../provider.ts";

/** Names the token in the cache; made of a digest, because it must hold no secret. */
export function tokenKey(account: ProviderAccount): string {
  const parts = [account.config.options["iamUrl"], account.credentials["apiKey"]];
  return `iam:${createHash("sha256").update(parts.join("\n")).digest("hex")}`;
}

export function iamToken(account: ProviderAccount, env: AuthEnvironment): Promise<string> {
  return env.token(tokenKey(account), async () => {
    const form = new URLSearchParams({ grant_type: "urn:ibm:params:oauth:grant-type:apikey", apikey: account.credentials["apiKey"] ?? "" });
    const reply = await env.send(`${account.config.options["iamUrl"] ?? ""}/identity/token`, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
      body: form.toString(),
      allowPrivate: account.config.allowPrivateEndpoint,
    });
    const body: unknown = reply.status === 200 ? JSON.parse(reply.body) : null;
    if (!isObject(body) || typeof body["access_token"] !== "string") throw new Error(`the token service answered ${reply.status}`);
    const lifeSeconds = Number(body["expires_in"]);
    return { value: body["access_token"], expiresAtMs: env.nowMs() + (Number.isFinite(lifeSeconds) ? lifeSeconds : 300) * 1000 };
  });
}
