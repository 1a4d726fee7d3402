/**
 * AWS: the Pod's own role by IRSA, EKS Pod Identity or instance metadata, and other roles assumed with it.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
 * https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
 */
import { Sha256 } from "@smithy/core/checksum";
import { SignatureV4 } from "@smithy/signature-v4";
import type { CloudIdentityConfig } from "../config/cloud-identity.ts";
import type { AwsCredentials } from "../providers/provider.ts";
import {
  type Ambient,
  type CloudAnswer,
  cloudRefusal,
  codeWord,
  expiryAt,
  jsonObject,
  type Lasting,
  memberText,
  mounted,
  notSetUp,
} from "./ambient.ts";
import { isOnNode } from "./local-call.ts";

export type AwsIdentity = Extract<CloudIdentityConfig, { cloud: "aws" }>;

/** Whose session it is, for CloudTrail and session tags. */
export interface AwsSession {
  region: string;
  namespace: string;
  name: string;
}

/** Partitions with domains of their own: https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json */
function domainOf(region: string): string {
  if (region.startsWith("cn-")) return "amazonaws.com.cn";
  return region.startsWith("eusc-") ? "amazonaws.eu" : "amazonaws.com";
}

/** `AWS_ENDPOINT_URL_STS` is AWS's own variable, for VPC endpoints with names of their own. */
function stsUrl({ env }: Ambient, region: string): string {
  const endpoint = env["AWS_ENDPOINT_URL_STS"];
  if (endpoint) return `${endpoint.replace(/\/+$/, "")}/`;
  return `https://sts.${region}.${domainOf(region)}/`;
}

const element = (xml: string, name: string): string | null =>
  new RegExp(`<${name}>([^<]{1,4096})</${name}>`).exec(xml)?.[1] ?? null;

/** STS answers in XML. Its values have no characters that XML escapes. */
function sessionIn({ status, body }: CloudAnswer, nowMs: number): Lasting<AwsCredentials> {
  if (status !== 200) throw cloudRefusal("STS", status, codeWord(element(body, "Code")));
  const values = {
    AccessKeyId: element(body, "AccessKeyId"),
    SecretAccessKey: element(body, "SecretAccessKey"),
    Token: element(body, "SessionToken"),
    Expiration: element(body, "Expiration"),
  };
  return credentialsIn(values, "STS", nowMs);
}

function credentialsIn(
  values: Readonly<Record<string, unknown>>,
  service: string,
  nowMs: number,
): Lasting<AwsCredentials> {
  const value = {
    accessKeyId: memberText(values, "AccessKeyId", service),
    secretAccessKey: memberText(values, "SecretAccessKey", service),
    sessionToken: memberText(values, "Token", service),
  };
  return { value, expiresAtMs: expiryAt(values["Expiration"], nowMs) };
}

/** Of the Pod's own role, where several providers assume theirs with it. */
const ownSession = ({ region }: AwsSession): AwsSession => ({ region, namespace: "proxies", name: "own" });

/** At most 64 characters of the documented set. */
const sessionName = ({ namespace, name }: AwsSession): string =>
  `sluice-${namespace}.${name}`.replace(/[^\w+=,.@-]/g, "-").slice(0, 64);

function form(action: string, members: Readonly<Record<string, string>>): string {
  return new URLSearchParams({ Action: action, Version: "2011-06-15", ...members }).toString();
}

const formHeaders = { "content-type": "application/x-www-form-urlencoded; charset=utf-8" };

async function byWebIdentity(ambient: Ambient, file: string, session: AwsSession): Promise<Lasting<AwsCredentials>> {
  const roleArn = ambient.env["AWS_ROLE_ARN"];
  if (!roleArn) throw notSetUp("the proxy has AWS_WEB_IDENTITY_TOKEN_FILE but no AWS_ROLE_ARN");
  const body = form("AssumeRoleWithWebIdentity", {
    RoleArn: roleArn,
    RoleSessionName: sessionName(session),
    WebIdentityToken: await mounted(ambient, file, "web identity token"),
  });
  const request = { method: "POST", headers: formHeaders, body } as const;
  return sessionIn(await ambient.send(stsUrl(ambient, session.region), request), ambient.nowMs());
}

async function byPodIdentity(ambient: Ambient, url: string): Promise<Lasting<AwsCredentials>> {
  if (!isOnNode(url)) throw notSetUp("AWS_CONTAINER_CREDENTIALS_FULL_URI of the proxy is not an address on the node");
  const file = ambient.env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
  const headers: Record<string, string> = { accept: "application/json" };
  if (file) headers["authorization"] = await mounted(ambient, file, "Pod Identity token");
  const answer = await ambient.local(url, { method: "GET", headers, body: null });
  const service = "the EKS Pod Identity agent";
  const body = jsonObject(answer, service);
  if (answer.status !== 200) throw cloudRefusal(service, answer.status, codeWord(body["code"], body["Code"]));
  return credentialsIn(body, service, ambient.nowMs());
}

/** Version 2 only: a session token first. */
async function byInstanceMetadata(ambient: Ambient): Promise<Lasting<AwsCredentials>> {
  const base = ambient.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"]?.replace(/\/+$/, "") ?? "http://169.254.169.254";
  const service = "the instance metadata service";
  const ask = async (path: string, headers: Record<string, string>, method: "GET" | "PUT" = "GET") => {
    const answer = await ambient.local(base + path, { method, headers, body: null });
    if (answer.status !== 200) throw cloudRefusal(service, answer.status, null);
    return answer;
  };
  const token = await ask("/latest/api/token", { "x-aws-ec2-metadata-token-ttl-seconds": "300" }, "PUT");
  const headers = { "x-aws-ec2-metadata-token": token.body.trim() };
  const list = await ask("/latest/meta-data/iam/security-credentials/", headers);
  const role = encodeURIComponent(list.body.trim().split("\n")[0] ?? "");
  const reply = await ask(`/latest/meta-data/iam/security-credentials/${role}`, headers);
  return credentialsIn(jsonObject(reply, service), service, ambient.nowMs());
}

function ownRole(ambient: Ambient, session: AwsSession): Promise<Lasting<AwsCredentials>> {
  const { AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile, AWS_CONTAINER_CREDENTIALS_FULL_URI: agent } = ambient.env;
  if (tokenFile) return byWebIdentity(ambient, tokenFile, session);
  if (agent) return byPodIdentity(ambient, agent);
  if (ambient.metadata) return byInstanceMetadata(ambient);
  throw notSetUp("the proxies have no AWS role: annotate their ServiceAccount, or associate a role with it");
}

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html */
function roleForm({ roleArn, externalId, tagged }: AwsIdentity, session: AwsSession): string {
  const tags = tagged ? Object.entries({ namespace: session.namespace, provider: session.name }) : [];
  return form("AssumeRole", {
    RoleArn: roleArn ?? "",
    RoleSessionName: sessionName(session),
    ...(externalId === null ? {} : { ExternalId: externalId }),
    ...Object.fromEntries(
      tags.flatMap(([key, value], index) => [
        [`Tags.member.${index + 1}.Key`, key],
        [`Tags.member.${index + 1}.Value`, value],
      ]),
    ),
  });
}

async function assumeRole(
  ambient: Ambient,
  own: AwsCredentials,
  identity: AwsIdentity,
  session: AwsSession,
): Promise<Lasting<AwsCredentials>> {
  const url = new URL(stsUrl(ambient, session.region));
  const signer = new SignatureV4({ service: "sts", region: session.region, credentials: own, sha256: Sha256 });
  const body = roleForm(identity, session);
  const unsigned = {
    method: "POST",
    protocol: url.protocol,
    hostname: url.hostname,
    path: url.pathname,
    query: {},
    headers: { host: url.host, ...formHeaders },
    body,
  };
  const { headers } = await signer.sign(unsigned, { signingDate: new Date(ambient.nowMs()) });
  const { host: _host, ...sent } = headers;
  return sessionIn(await ambient.send(url.href, { method: "POST", headers: sent, body }), ambient.nowMs());
}

/** `own`: the Pod's own role, kept by the caller, since many providers can assume roles with it. */
export async function awsSession(
  ambient: Ambient,
  identity: AwsIdentity,
  session: AwsSession,
  own: (make: () => Promise<Lasting<AwsCredentials>>) => Promise<AwsCredentials>,
): Promise<Lasting<AwsCredentials>> {
  if (identity.roleArn === null) return ownRole(ambient, session);
  return assumeRole(ambient, await own(async () => ownRole(ambient, ownSession(session))), identity, session);
}
