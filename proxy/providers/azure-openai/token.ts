/**
 * Entra's client credentials grant:
 * https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
 */
import type { AuthEnvironment, ProviderAccount } from "../provider.ts";
import { fetchToken, tokenKeyOf } from "../token-service.ts";

export function tokenKey(account: ProviderAccount): string {
  const { options } = account.config;
  const parts = [
    options["authority"],
    options["tenantId"],
    options["clientId"],
    options["scope"],
    account.credentials["clientSecret"],
  ];
  return tokenKeyOf("entra", parts, account);
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

/** A token of the cloud identity, for the same scope. */
export const identityToken = (account: ProviderAccount, env: AuthEnvironment): Promise<string> =>
  env.cloud.bearer(account, account.config.options["scope"] ?? "");
