/** Calls to providers with an identity of the cloud, through the whole gateway. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { json, startUpstream, type Upstream } from "../../harness/upstream.ts";
import { bedrock } from "../providers/wire/bedrock.ts";
import { openai } from "../providers/wire/openai.ts";
import { type CloudServices, startCloud } from "./cloud-services.ts";

const clear = "slc_cloud_key_000001";
const said = { text: "Hello", usage: { prompt: 3, cached: 0, completion: 2 } };

describe("a provider with a cloud identity", () => {
  let cloud: CloudServices;
  let upstream: Upstream;
  let gateway: TestGateway;
  let folder: string;
  /** Answers before the usual one. */
  let refusing = 0;
  const target = (name: string) => ({ provider: { name } });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-cloud-calls-"));
    cloud = await startCloud(Date.now);
    upstream = await startUpstream(({ path }, response) => {
      if (refusing-- > 0)
        return path.startsWith("/model/")
          ? json(response, 403, { message: "expired" }, { "x-amzn-errortype": "ExpiredTokenException" })
          : json(response, 401, { error: { message: "expired", code: "401" } });
      json(response, 200, path.startsWith("/model/") ? bedrock.whole(said) : openai.whole(said));
    });
    const token = join(folder, "token");
    await writeFile(token, cloud.token);
    const bedrockSpec = {
      type: "Bedrock",
      endpoint: upstream.url,
      options: { region: "eu-central-1" },
      models: [{ name: "nova" }],
    };
    gateway = await startGateway(
      [
        provider("own", upstream.url, { ...bedrockSpec, credentials: { workloadIdentity: { aws: {} } } }),
        provider("partner", upstream.url, {
          ...bedrockSpec,
          circuitBreaker: { failureThreshold: 1_000 },
          credentials: { workloadIdentity: { aws: { roleArn: "arn:aws:iam::444455556666:role/partner" } } },
        }),
        provider("azure", upstream.url, {
          type: "AzureOpenAI",
          endpoint: upstream.url,
          models: [{ name: "nova" }],
          credentials: { workloadIdentity: { azure: {} } },
        }),
        provider("plain", upstream.url, { models: [{ name: "nova" }] }),
        secret("plain-credentials", { apiKey: "sk-plain-upstream" }),
        ...Object.entries({
          own: ["own"],
          azure: ["azure"],
          alone: ["partner"],
          fallback: ["partner", "plain"],
        }).map(([name, targets]) =>
          policy(name, {
            match: { models: [name] },
            routing: { targets: targets.map(target), strategy: "Priority" },
            request: { overrides: { model: "nova" } },
          }),
        ),
        ...key("alice", clear),
      ],
      [],
      {
        AWS_ROLE_ARN: "arn:aws:iam::111122223333:role/proxy",
        AWS_WEB_IDENTITY_TOKEN_FILE: token,
        AWS_ENDPOINT_URL_STS: cloud.url,
        AZURE_FEDERATED_TOKEN_FILE: token,
        AZURE_CLIENT_ID: "client-1",
        AZURE_TENANT_ID: "tenant-1",
        AZURE_AUTHORITY_HOST: cloud.url,
      },
    );
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
    await cloud.close();
    await rm(folder, { recursive: true, force: true });
  });

  const call = (model: string): Promise<Response> =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${clear}` },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }] }),
    });
  const sent = () => upstream.requests.at(-1)?.headers ?? {};

  it("signs with the session that STS gave it", async () => {
    const response = await call("own");
    assert.equal(response.status, 200, await response.text());
    assert.match(sent().authorization ?? "", /^AWS4-HMAC-SHA256 Credential=ASIA\d+\/\d{8}\/eu-central-1\/bedrock\//);
    assert.match(String(sent()["x-amz-security-token"]), /^session-\d+$/);
  });

  it("sends Entra's token", async () => {
    const response = await call("azure");
    assert.equal(response.status, 200, await response.text());
    assert.match(sent().authorization ?? "", /^Bearer entra-\d+$/);
    assert.equal(cloud.lastForm.get("client_id"), "client-1");
  });

  for (const model of ["own", "azure"])
    it(`gets another where the provider says that it has expired: ${model}`, async () => {
      await call(model);
      const before = sent().authorization;
      refusing = 1;
      const response = await call(model);
      assert.equal(response.status, 200, await response.text());
      assert.notEqual(sent().authorization, before);
    });

  it("falls back to another target while the cloud refuses it", async () => {
    const response = await call("fallback");
    assert.equal(response.status, 200, await response.text());
    assert.equal(sent().authorization, "Bearer sk-plain-upstream");
  });

  it("fails without one, and the status, the log and nothing else has the cloud's reason", async () => {
    const response = await call("alone");
    const text = await response.text();
    assert.equal(response.status, 502, text);
    assert.match(text, /could not get an identity/);
    assert.doesNotMatch(text, /AccessDenied|arn:/);
    const status = await gateway.status();
    const found = (status["providers"] as { id: string; identity: string | null }[]).find(
      ({ id }) => id === "default/partner",
    );
    assert.equal(found?.identity, "STS answered 403 AccessDenied");
    assert.match(gateway.logText(), /"reason":"STS answered 403 AccessDenied"/);
    assert.doesNotMatch(gateway.logText(), new RegExp(`${cloud.token}|session-\\d|entra-\\d`));
  });

  it("works again by itself once the cloud accepts it", async () => {
    cloud.externalId = null;
    await eventually(async () => (await call("alone")).status === 200);
    assert.match(sent().authorization ?? "", /^AWS4-HMAC-SHA256 /);
  });
});
