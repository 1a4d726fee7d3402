/**
 * Azure: a federated token of the Pod's ServiceAccount, or the node's managed identity.
 * https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#third-case-access-token-request-with-a-federated-credential
 * https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
 */
import type { CloudIdentityConfig } from "../config/cloud-identity.ts";
import {
  type Ambient,
  type CloudAnswer,
  cloudRefusal,
  codeWord,
  expiryIn,
  jsonObject,
  type Lasting,
  memberText,
  mounted,
  notSetUp,
} from "./ambient.ts";

export type AzureIdentity = Extract<CloudIdentityConfig, { cloud: "azure" }>;

/** Entra's own code, `AADSTS` and a number, is at the start of a description that may repeat what it was sent. */
function entraCode(body: Readonly<Record<string, unknown>>): string | null {
  const description = String(body["error_description"] ?? "");
  return codeWord(/^AADSTS[0-9]{1,10}/.exec(description)?.[0], body["error"]);
}

function tokenIn(answer: CloudAnswer, service: string, nowMs: number): Lasting<string> {
  const body = jsonObject(answer, service);
  if (answer.status !== 200) throw cloudRefusal(service, answer.status, entraCode(body));
  return { value: memberText(body, "access_token", service), expiresAtMs: expiryIn(body["expires_in"], nowMs) };
}

async function byFederatedToken(
  ambient: Ambient,
  file: string,
  { clientId, tenantId }: AzureIdentity,
  scope: string,
): Promise<Lasting<string>> {
  const { env } = ambient;
  const client = clientId ?? env["AZURE_CLIENT_ID"];
  const tenant = tenantId ?? env["AZURE_TENANT_ID"];
  if (!client || !tenant)
    throw notSetUp("the proxy has no AZURE_CLIENT_ID or AZURE_TENANT_ID: annotate its ServiceAccount");
  const authority = (env["AZURE_AUTHORITY_HOST"] || "https://login.microsoftonline.com").replace(/\/+$/, "");
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: client,
    scope,
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: await mounted(ambient, file, "federated token"),
  }).toString();
  const headers = { "content-type": "application/x-www-form-urlencoded", accept: "application/json" };
  const url = `${authority}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`;
  return tokenIn(await ambient.send(url, { method: "POST", headers, body }), "Entra", ambient.nowMs());
}

async function byManagedIdentity(
  ambient: Ambient,
  { clientId }: AzureIdentity,
  scope: string,
): Promise<Lasting<string>> {
  const base = ambient.env["AZURE_POD_IDENTITY_AUTHORITY_HOST"]?.replace(/\/+$/, "") ?? "http://169.254.169.254";
  const query = new URLSearchParams({
    "api-version": "2018-02-01",
    resource: scope.replace(/\/\.default$/, ""),
    ...(clientId === null ? {} : { client_id: clientId }),
  });
  const url = `${base}/metadata/identity/oauth2/token?${query}`;
  const answer = await ambient.local(url, { method: "GET", headers: { metadata: "true" }, body: null });
  return tokenIn(answer, "the managed identity endpoint", ambient.nowMs());
}

export function azureToken(ambient: Ambient, identity: AzureIdentity, scope: string): Promise<Lasting<string>> {
  const file = ambient.env["AZURE_FEDERATED_TOKEN_FILE"];
  if (file) return byFederatedToken(ambient, file, identity, scope);
  if (ambient.metadata) return byManagedIdentity(ambient, identity, scope);
  throw notSetUp("the proxies have no Azure identity: set up workload identity for their ServiceAccount and Pods");
}
