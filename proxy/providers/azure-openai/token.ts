/**
 * Signs calls to Azure in: an API key, or Entra's client credentials grant with a secret or a certificate
 * (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow), or the cloud's identity.
 */
import type { AuthEnvironment, ErrorReply, Outgoing, ProviderAccount } from "../provider.ts";
import { fetchToken, tokenKeyOf } from "../token-service.ts";
import { clientAssertion } from "./client-assertion.ts";

function tokenKey(account: ProviderAccount): string {
  const { options } = account.config;
  const { clientSecret, "tls.crt": certificate, "tls.key": privateKey } = account.credentials;
  const parts = [
    options["authority"],
    options["tenantId"],
    options["clientId"],
    options["scope"],
    ...(clientSecret === undefined ? ["certificate", certificate, privateKey] : [clientSecret]),
  ];
  return tokenKeyOf("entra", parts, account);
}

function proofOf({ config, credentials }: ProviderAccount, url: string, nowMs: number): Record<string, string> {
  const { clientSecret, "tls.crt": certificate = "", "tls.key": privateKey = "" } = credentials;
  if (clientSecret !== undefined) return { client_secret: clientSecret };
  return {
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: clientAssertion({ certificate, privateKey }, config.options["clientId"] ?? "", url, nowMs),
  };
}

function entraToken(account: ProviderAccount, env: AuthEnvironment): Promise<string> {
  return env.token(tokenKey(account), async () => {
    const { authority, tenantId, clientId, scope } = account.config.options;
    const url = `${authority ?? ""}/${encodeURIComponent(tenantId ?? "")}/oauth2/v2.0/token`;
    const form = {
      grant_type: "client_credentials",
      client_id: clientId ?? "",
      ...proofOf(account, url, env.nowMs()),
      scope: scope ?? "",
    };
    return fetchToken(url, form, account, env);
  });
}

/** A token of the cloud identity, for the same scope. */
const identityToken = (account: ProviderAccount, env: AuthEnvironment): Promise<string> =>
  env.cloud.bearer(account, account.config.options["scope"] ?? "");

export function authorizeAzure(
  outgoing: Outgoing,
  account: ProviderAccount,
  env: AuthEnvironment,
): Outgoing | Promise<Outgoing> {
  const { apiKey } = account.credentials;
  if (apiKey !== undefined) {
    outgoing.headers["api-key"] = apiKey;
    return outgoing;
  }
  const token = account.config.identity === undefined ? entraToken(account, env) : identityToken(account, env);
  return token.then((bearer) => {
    outgoing.headers["authorization"] = `Bearer ${bearer}`;
    return outgoing;
  });
}

export function renewAzure(account: ProviderAccount, reply: ErrorReply, env: AuthEnvironment): boolean {
  if (account.credentials["apiKey"] !== undefined || reply.status !== 401) return false;
  if (account.config.identity !== undefined) env.cloud.forget(account);
  else env.forget(tokenKey(account));
  return true;
}
