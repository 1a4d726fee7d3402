/**
 * Authenticates calls: a Bedrock API key as a bearer token
 * (https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html), or AWS Signature Version 4
 * (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html), computed by AWS's own
 * signer over the final body and path, at the time of the attempt.
 */
import { Sha256 } from "@smithy/core/checksum";
import { SignatureV4 } from "@smithy/signature-v4";
import type { AuthEnvironment, AwsCredentials, ErrorReply, Outgoing, ProviderAccount } from "../provider.ts";

const service = "bedrock";

/**
 * What the signer sees. What is signed must arrive unchanged, so headers that may be modified on the way are not
 * signed.
 */
function toSign(outgoing: Outgoing, account: ProviderAccount) {
  const url = new URL(account.origin);
  const [path = "", search = ""] = outgoing.path.split("?", 2);
  const type = outgoing.headers["content-type"];
  return {
    method: outgoing.method,
    protocol: url.protocol,
    hostname: url.hostname,
    // The signer encodes the path again, as AWS requires: `%3A` on the wire is signed as `%253A`.
    path,
    query: Object.fromEntries(new URLSearchParams(search)),
    headers: { host: url.host, ...(type === undefined ? {} : { "content-type": type }) },
    body: outgoing.body ?? undefined,
  };
}

async function signed(
  outgoing: Outgoing,
  account: ProviderAccount,
  credentials: AwsCredentials,
  nowMs: number,
): Promise<Outgoing> {
  const signer = new SignatureV4({
    service,
    region: account.config.options["region"] ?? "",
    credentials,
    sha256: Sha256,
  });
  const { headers } = await signer.sign(toSign(outgoing, account), { signingDate: new Date(nowMs) });
  // The connection sets Host to the same value.
  const { host: _host, ...own } = headers;
  return { ...outgoing, headers: { ...outgoing.headers, ...own } };
}

/**
 * A cloud identity stands alone; of a Secret, an API key takes precedence. Without complete credentials, the call is sent as it is and the provider reports the error.
 */
export function authorize(
  outgoing: Outgoing,
  account: ProviderAccount,
  env: AuthEnvironment,
): Outgoing | Promise<Outgoing> {
  if (account.config.identity !== undefined)
    return env.cloud.aws(account).then((credentials) => signed(outgoing, account, credentials, env.nowMs()));
  const { apiKey, accessKeyId, secretAccessKey, sessionToken } = account.credentials;
  if (apiKey) return { ...outgoing, headers: { ...outgoing.headers, authorization: `Bearer ${apiKey}` } };
  if (!accessKeyId || !secretAccessKey) return outgoing;
  return signed(
    outgoing,
    account,
    { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) },
    env.nowMs(),
  );
}

/** Codes for a session that has ended: https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html */
const endedSession = /expiredtoken|unrecognizedclient|invalidclienttokenid/i;

/** The role's session ended early, such as by revocation: the next attempt gets a new one. */
export function renewSession(account: ProviderAccount, { status, headers }: ErrorReply, env: AuthEnvironment): boolean {
  if (account.config.identity === undefined || status !== 403) return false;
  if (!endedSession.test(String(headers["x-amzn-errortype"] ?? ""))) return false;
  env.cloud.forget(account);
  return true;
}
