/** IBM Cloud's token service: https://cloud.ibm.com/apidocs/iam-identity-token-api#gettoken-apikey */
import type { AuthEnvironment, ProviderAccount } from "../provider.ts";
import { fetchToken, tokenKeyOf } from "../token-service.ts";

export function tokenKey(account: ProviderAccount): string {
  const parts = [account.config.options["iamUrl"], account.credentials["apiKey"]];
  return tokenKeyOf("iam", parts, account);
}

export function iamToken(account: ProviderAccount, env: AuthEnvironment): Promise<string> {
  return env.token(tokenKey(account), () => {
    const form = { grant_type: "urn:ibm:params:oauth:grant-type:apikey", apikey: account.credentials["apiKey"] ?? "" };
    return fetchToken(`${account.config.options["iamUrl"] ?? ""}/identity/token`, form, account, env);
  });
}
