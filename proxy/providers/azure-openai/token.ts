/**
 * Entra's client-credentials grant:
 * https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
 */
import { createHash } from "node:crypto";
import type { AuthEnvironment, ProviderAccount } from "../provider.ts";
import { fetchToken } from "../token-service.ts";

/** Names the token in the cache; made of a digest, because it must hold no secret. */
export function tokenKey(account: ProviderAccount): string {
  const { options } = account.config;
  const parts = [options["authority"], options["tenantId"], options["clientId"], options["scope"], account.credentials["clientSecret"]];
  return `entra:${createHash("sha256").update(parts.join("\n")).digest("hex")}`;
}

export function entraToken(account: ProviderAccount, env: AuthEnvironment): Promise<string> {
  return env.token(tokenKey(account), () => {
    const { authority, tenantId, clientId, scope } = account.config.options;
    const form = {
      grant_type: "client_credentials",
      client_id: clientId ?? "",
      client_secret: account.credentials["clientSecret"] ?? "",
      scope: scope ?? "",
    };
    return fetchToken(`${authority ?? ""}/${encodeURIComponent(tenantId ?? "")}/oauth2/v2.0/token`, form, account, env);
  });
}
