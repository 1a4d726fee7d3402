/**
 * Google Cloud: the ServiceAccount's identity from GKE's metadata server, or Workload Identity Federation by a mounted
 * configuration, and other service accounts impersonated with it.
 * https://cloud.google.com/kubernetes-engine/docs/concepts/workload-identity
 * https://google.aip.dev/auth/4117
 */
import type { CloudIdentityConfig } from "../config/cloud-identity.ts";
import { isObject } from "../wire/json.ts";
import {
  type Ambient,
  type CloudAnswer,
  cloudRefusal,
  codeWord,
  expiryAt,
  expiryIn,
  jsonObject,
  type Lasting,
  memberText,
  mounted,
  notSetUp,
} from "./ambient.ts";

export type GoogleIdentity = Extract<CloudIdentityConfig, { cloud: "google" }>;

const jsonHeaders = { "content-type": "application/json", accept: "application/json" };

/** `{"error": "invalid_grant"}` of token services, `{"error": {"status": "PERMISSION_DENIED"}}` of APIs. */
function codeIn(body: Readonly<Record<string, unknown>>): string | null {
  const { error } = body;
  return isObject(error) ? codeWord(error["status"]) : codeWord(error);
}

function checked(answer: CloudAnswer, service: string): Record<string, unknown> {
  const body = jsonObject(answer, service);
  if (answer.status !== 200) throw cloudRefusal(service, answer.status, codeIn(body));
  return body;
}

async function byMetadata(ambient: Ambient, scope: string): Promise<Lasting<string>> {
  const host = ambient.env["GCE_METADATA_HOST"] || "metadata.google.internal";
  const url = `http://${host}/computeMetadata/v1/instance/service-accounts/default/token?scopes=${encodeURIComponent(scope)}`;
  const service = "the metadata server";
  const body = checked(
    await ambient.local(url, { method: "GET", headers: { "metadata-flavor": "Google" }, body: null }),
    service,
  );
  return {
    value: memberText(body, "access_token", service),
    expiresAtMs: expiryIn(body["expires_in"], ambient.nowMs()),
  };
}

/** The subject token: a file's text, or a member of its JSON. Other sources are not for Pods. */
async function subjectToken(ambient: Ambient, source: unknown): Promise<string> {
  if (!isObject(source) || typeof source["file"] !== "string")
    throw notSetUp("credential_source of the proxy's external account has no file");
  const text = await mounted(ambient, source["file"], "subject token");
  const format = isObject(source["format"]) ? source["format"] : {};
  if (format["type"] !== "json") return text;
  const body = jsonObject({ status: 200, body: text }, "the subject token file");
  return memberText(body, String(format["subject_token_field_name"] ?? ""), "the subject token file");
}

async function byFederation(ambient: Ambient, file: string, scope: string): Promise<Lasting<string>> {
  const account = jsonObject(
    { status: 200, body: await mounted(ambient, file, "Google credentials") },
    "the Google credentials file",
  );
  if (account["type"] !== "external_account")
    throw notSetUp("GOOGLE_APPLICATION_CREDENTIALS of the proxy must name a file of type external_account");
  const body = JSON.stringify({
    grantType: "urn:ietf:params:oauth:grant-type:token-exchange",
    audience: account["audience"],
    scope,
    requestedTokenType: "urn:ietf:params:oauth:token-type:access_token",
    subjectToken: await subjectToken(ambient, account["credential_source"]),
    subjectTokenType: account["subject_token_type"],
  });
  const url = String(account["token_url"] ?? "https://sts.googleapis.com/v1/token");
  const answer = checked(await ambient.send(url, { method: "POST", headers: jsonHeaders, body }), "Google STS");
  const federated = {
    value: memberText(answer, "access_token", "Google STS"),
    expiresAtMs: expiryIn(answer["expires_in"], ambient.nowMs()),
  };
  const impersonation = account["service_account_impersonation_url"];
  return typeof impersonation === "string" ? impersonate(ambient, impersonation, federated.value, scope) : federated;
}

/** https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken */
async function impersonate(ambient: Ambient, url: string, token: string, scope: string): Promise<Lasting<string>> {
  const headers = { ...jsonHeaders, authorization: `Bearer ${token}` };
  const body = JSON.stringify({ scope: [scope], lifetime: "3600s" });
  const service = "IAM Credentials";
  const answer = checked(await ambient.send(url, { method: "POST", headers, body }), service);
  return {
    value: memberText(answer, "accessToken", service),
    expiresAtMs: expiryAt(answer["expireTime"], ambient.nowMs()),
  };
}

function ownToken(ambient: Ambient, scope: string): Promise<Lasting<string>> {
  const file = ambient.env["GOOGLE_APPLICATION_CREDENTIALS"];
  if (file) return byFederation(ambient, file, scope);
  if (ambient.metadata) return byMetadata(ambient, scope);
  throw notSetUp("the proxies have no Google identity: set proxy.cloud.metadata or proxy.cloud.google");
}

/** `own`: the Pod's own token, kept by the caller, since many providers can impersonate with it. */
export async function googleToken(
  ambient: Ambient,
  { serviceAccount }: GoogleIdentity,
  scope: string,
  own: (make: () => Promise<Lasting<string>>) => Promise<string>,
): Promise<Lasting<string>> {
  if (serviceAccount === null) return ownToken(ambient, scope);
  const url = `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${encodeURIComponent(serviceAccount)}:generateAccessToken`;
  return impersonate(ambient, url, await own(async () => ownToken(ambient, scope)), scope);
}
