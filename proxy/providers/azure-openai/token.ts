/**
 * Entra's client-credentials grant:
 * https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
 */
import { createHash } from "node:crypto";
import { isObject } from "../classify.ts";
import type { AuthEnvironment, ProviderAccount } from "../provider.ts";

/** Names the token in the cache; made of a digest, because it must hold no secret. */
export function tokenKey(account: ProviderAccount): string {
  const { options } = account.config;
  const parts = [options["authority"], options["tenantId"], options["clientId"], options["scope"], account.credentials["clientSecret"]];
  return `entra:${createHash("sha256").update(parts.join("\n")).digest("hex")}`;
}

export function entraToken(account: ProviderAccount, env: AuthEnvironment): Promise<string> {
  const { authority, tenantId, clientId, scope } = account.config.options;
  return env.token(tokenKey(account), async () => {
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: clientId ?? "",
      client_secret: account.credentials["clientSecret"] ?? "",
      scope: scope ?? "",
    });
    const reply = await env.send(`${authority ?? ""}/${encodeURIComponent(tenantId ?? "")}/oauth2/v2.0/token`, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: form.toString(),
      allowPrivate: account.config.allowPrivateEndpoint,
    });
    const body: unknown = reply.status === 200 ? JSON.parse(reply.body) : null;
    if (!isObject(body) || typeof body["access_token"] !== "string") throw new Error(`the token service answered ${reply.status}`);
    const lifeSeconds = Number(body["expires_in"]);
    return { value: body["access_token"], expiresAtMs: env.nowMs() + (Number.isFinite(lifeSeconds) ? lifeSeconds : 300) * 1000 };
  });
}
