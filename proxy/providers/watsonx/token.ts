/** IBM Cloud's token service: https://cloud.ibm.com/apidocs/iam-identity-token-api#gettoken-apikey */
import { createHash } from "node:crypto";
import type { AuthEnvironment, ProviderAccount } from "../provider.ts";
import { fetchToken } from "../token-service.ts";

/** Names the token in the cache; made of a digest, because it must hold no secret. */
export function tokenKey(account: ProviderAccount): string {
  const parts = [account.config.options["iamUrl"], account.credentials["apiKey"]];
  return `iam:${createHash("sha256").update(parts.join("\n")).digest("hex")}`;
}

export function iamToken(account: ProviderAccount, env: AuthEnvironment): Promise<string> {
  return env.token(tokenKey(account), () => {
    const form = { grant_type: "urn:ibm:params:oauth:grant-type:apikey", apikey: account.credentials["apiKey"] ?? "" };
    return fetchToken(`${account.config.options["iamUrl"] ?? ""}/identity/token`, form, account, env);
  });
}
