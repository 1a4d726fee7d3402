/**
 * What clouds offer to Pods, on one local server: STS, the EKS Pod Identity agent, IMDSv2, Entra, Azure's managed
 * identity endpoint, Google's STS and metadata server. Each refuses what its documentation says it refuses.
 */
import type { ServerResponse } from "node:http";
import { json, startUpstream, type UpstreamRequest } from "../../harness/upstream.ts";

export interface CloudServices {
  url: string;
  host: string;
  /** Method and path of each call, in order. */
  asked: string[];
  /** What the identity provider accepts as the ServiceAccount's token. */
  token: string;
  /** Life of what is issued, in seconds. */
  lifeSeconds: number;
  /** Epoch milliseconds, for the dates in answers. */
  nowMs(): number;
  /** The next answers, in place of the services' own. */
  failing: ((response: ServerResponse) => void) | null;
  lastForm: URLSearchParams;
  /** What the trust policy of roles named partner asks for; null for nothing. */
  externalId: string | null;
  close(): Promise<void>;
}

const xml = (response: ServerResponse, status: number, body: string): void => {
  response.writeHead(status, { "content-type": "text/xml" });
  response.end(body);
};

export const stsError = (status: number, code: string) => (response: ServerResponse) =>
  xml(
    response,
    status,
    `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>Not authorized for eyJhbGciOi.secret</Message></Error><RequestId>r</RequestId></ErrorResponse>`,
  );

export const entraError = (status: number, error: string, description: string) => (response: ServerResponse) =>
  json(response, status, { error, error_description: description, error_codes: [1] });

export async function startCloud(nowMs: () => number): Promise<CloudServices> {
  let issued = 0;
  const expiry = (): string => new Date(cloud.nowMs() + cloud.lifeSeconds * 1_000).toISOString();
  const session = () => ({
    AccessKeyId: `ASIA${++issued}`,
    SecretAccessKey: "secret+/key",
    Token: `session-${issued}`,
  });

  const sts = (request: UpstreamRequest, response: ServerResponse) => {
    const form = new URLSearchParams(request.text);
    cloud.lastForm = form;
    const action = form.get("Action");
    if (form.get("Version") !== "2011-06-15") return stsError(400, "InvalidAction")(response);
    if (action === "AssumeRoleWithWebIdentity" && form.get("WebIdentityToken") !== cloud.token)
      return stsError(400, "InvalidIdentityToken")(response);
    if (action === "AssumeRole") {
      const signed = /^AWS4-HMAC-SHA256 Credential=ASIA\d+\/\d{8}\/[a-z0-9-]+\/sts\/aws4_request, /;
      if (!signed.test(request.headers.authorization ?? "") || !request.headers["x-amz-security-token"])
        return stsError(403, "InvalidClientTokenId")(response);
      if (form.get("RoleArn")?.includes("/partner") && form.get("ExternalId") !== cloud.externalId)
        return stsError(403, "AccessDenied")(response);
    }
    const { AccessKeyId, SecretAccessKey, Token } = session();
    xml(
      response,
      200,
      `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result><Credentials><AccessKeyId>${AccessKeyId}</AccessKeyId><SecretAccessKey>${SecretAccessKey}</SecretAccessKey><SessionToken>${Token}</SessionToken><Expiration>${expiry()}</Expiration></Credentials></${action}Result></${action}Response>`,
    );
  };

  const entra = ({ text }: UpstreamRequest, response: ServerResponse) => {
    const form = new URLSearchParams(text);
    cloud.lastForm = form;
    if (form.get("client_assertion") !== cloud.token)
      return entraError(
        401,
        "invalid_client",
        `AADSTS700213: No matching federated identity record found for ${form.get("client_assertion")}.`,
      )(response);
    if (
      form.get("grant_type") !== "client_credentials" ||
      form.get("client_assertion_type") !== "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    )
      return entraError(400, "invalid_request", "AADSTS900144: bad request")(response);
    if (form.get("scope")?.endsWith("/.default") !== true)
      return entraError(400, "invalid_scope", "AADSTS1002012: bad scope")(response);
    json(response, 200, { token_type: "Bearer", expires_in: cloud.lifeSeconds, access_token: `entra-${++issued}` });
  };

  const googleSts = ({ json: body, headers }: UpstreamRequest, response: ServerResponse) => {
    const isExchange =
      body["grantType"] === "urn:ietf:params:oauth:grant-type:token-exchange" &&
      body["requestedTokenType"] === "urn:ietf:params:oauth:token-type:access_token" &&
      body["subjectTokenType"] === "urn:ietf:params:oauth:token-type:jwt";
    // https://googleapis.dev/nodejs/googleapis/latest/sts/classes/Resource$V1.html
    if (!isExchange || headers.authorization !== undefined) return json(response, 400, { error: "invalid_request" });
    if (body["subjectToken"] !== cloud.token || body["audience"] !== "//iam.googleapis.com/pools/p")
      return json(response, 400, { error: "invalid_grant", error_description: "The audience does not match." });
    json(response, 200, { access_token: `federated-${++issued}`, token_type: "Bearer", expires_in: cloud.lifeSeconds });
  };

  const routes: [RegExp, (request: UpstreamRequest, response: ServerResponse) => void][] = [
    [/^POST \/$/, sts],
    [
      /^GET \/v1\/credentials$/,
      ({ headers }, response) =>
        headers.authorization === cloud.token
          ? json(response, 200, { ...session(), Expiration: expiry(), AccountId: "111122223333" })
          : json(response, 400, { code: "InvalidTokenException", message: "bad token" }),
    ],
    [
      /^PUT \/latest\/api\/token$/,
      ({ headers }, response) => {
        response.writeHead(headers["x-aws-ec2-metadata-token-ttl-seconds"] ? 200 : 400);
        response.end("imds-token");
      },
    ],
    [
      /^GET \/latest\/meta-data\/iam\/security-credentials\/(node-role)?$/,
      ({ headers, path }, response) => {
        if (headers["x-aws-ec2-metadata-token"] !== "imds-token") return json(response, 401, {});
        if (path.endsWith("/node-role"))
          return json(response, 200, { Code: "Success", Type: "AWS-HMAC", ...session(), Expiration: expiry() });
        response.end("node-role");
      },
    ],
    [/^POST \/tenant-[\w-]+\/oauth2\/v2\.0\/token$/, entra],
    [
      /^GET \/metadata\/identity\/oauth2\/token\?/,
      ({ headers, path }, response) => {
        const query = new URL(path, "http://x").searchParams;
        if (headers["metadata"] !== "true" || query.get("api-version") !== "2018-02-01")
          return json(response, 400, { error: "invalid_request" });
        if (query.get("client_id") === "unknown")
          return json(response, 400, { error: "invalid_request", error_description: "Identity not found" });
        json(response, 200, {
          access_token: `managed-${query.get("resource")}-${++issued}`,
          expires_in: String(cloud.lifeSeconds),
        });
      },
    ],
    [/^POST \/google\/sts$/, googleSts],
    [
      /^POST \/v1\/projects\/-\/serviceAccounts\/[^/]+:generateAccessToken$/,
      ({ headers, path }, response) =>
        /^Bearer (federated|gke)-\d+$/.test(headers.authorization ?? "") && !path.includes("stranger")
          ? json(response, 200, { accessToken: `impersonated-${++issued}`, expireTime: expiry() })
          : json(response, 403, { error: { code: 403, status: "PERMISSION_DENIED", message: "no" } }),
    ],
    [
      /^GET \/computeMetadata\/v1\/instance\/service-accounts\/default\/token\?scopes=/,
      ({ headers }, response) =>
        headers["metadata-flavor"] === "Google"
          ? json(response, 200, {
              access_token: `gke-${++issued}`,
              expires_in: cloud.lifeSeconds,
              token_type: "Bearer",
            })
          : json(response, 403, {}),
    ],
  ];

  const server = await startUpstream((request, response) => {
    cloud.asked.push(`${request.method} ${request.path.split("?")[0]}`);
    if (cloud.failing !== null) return cloud.failing(response);
    const handle = routes.find(([pattern]) => pattern.test(`${request.method} ${request.path}`))?.[1];
    if (handle === undefined) return json(response, 404, {});
    handle(request, response);
  });
  const cloud: CloudServices = {
    url: server.url,
    host: new URL(server.url).host,
    asked: [],
    token: "sa-token-1",
    lifeSeconds: 3_600,
    nowMs,
    failing: null,
    lastForm: new URLSearchParams(),
    externalId: "ext-1",
    close: () => server.close(),
  };
  return cloud;
}
