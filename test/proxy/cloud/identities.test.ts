/** Identities of clouds, against local servers that speak the clouds' protocols. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import type { Ambient } from "../../../proxy/cloud/ambient.ts";
import { CloudIdentities } from "../../../proxy/cloud/identities.ts";
import { isOnNode } from "../../../proxy/cloud/local-call.ts";
import type { CloudIdentityConfig } from "../../../proxy/config/cloud-identity.ts";
import { ambientOf } from "../../../proxy/own-calls.ts";
import type { ProviderAccount } from "../../../proxy/providers/provider.ts";
import type { TokenServiceError } from "../../../proxy/wire/causes.ts";
import { Upstreams } from "../../../proxy/wire/upstream.ts";
import { accountOf } from "../providers/drive.ts";
import { type CloudServices, entraError, startCloud, stsError } from "./cloud-services.ts";

const scope = "https://cognitiveservices.azure.com/.default";
const googleScope = "https://www.googleapis.com/auth/cloud-platform";
const ownAws = { cloud: "aws", roleArn: null, externalId: null, tagged: false } as const;
const ownAzure = { cloud: "azure", clientId: null, tenantId: null } as const;
const ownGoogle = { cloud: "google", serviceAccount: null } as const;

let nowMs = Date.parse("2027-03-01T10:00:00Z");
let folder: string;
let cloud: CloudServices;
let upstreams: Upstreams;
let changes: [string, string | null][];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-cloud-"));
  cloud = await startCloud(() => nowMs);
  upstreams = new Upstreams();
});
after(async () => {
  await upstreams.close();
  await cloud.close();
  await rm(folder, { recursive: true, force: true });
});
const tokenFile = (): string => join(folder, "token");
beforeEach(async () => {
  changes = [];
  cloud.asked.length = 0;
  await writeFile(tokenFile(), `${cloud.token}\n`);
});
afterEach(() => {
  cloud.failing = null;
  cloud.lifeSeconds = 3_600;
});

type Env = Record<string, string>;
const environments = {
  irsa: (): Env => ({
    AWS_ROLE_ARN: "arn:aws:iam::111122223333:role/proxy",
    AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile(),
    AWS_ENDPOINT_URL_STS: cloud.url,
  }),
  podIdentity: (): Env => ({
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${cloud.url}/v1/credentials`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile(),
    AWS_ENDPOINT_URL_STS: cloud.url,
  }),
  ec2: (): Env => ({ AWS_EC2_METADATA_SERVICE_ENDPOINT: cloud.url }),
  aks: (): Env => ({
    AZURE_FEDERATED_TOKEN_FILE: tokenFile(),
    AZURE_CLIENT_ID: "client-1",
    AZURE_TENANT_ID: "tenant-1",
    AZURE_AUTHORITY_HOST: `${cloud.url}/`,
  }),
  azureNode: (): Env => ({ AZURE_POD_IDENTITY_AUTHORITY_HOST: cloud.url }),
  gke: (): Env => ({ GCE_METADATA_HOST: cloud.host }),
  federation: (): Env => ({ GOOGLE_APPLICATION_CREDENTIALS: join(folder, "external.json") }),
} as const;

const external = (): object => ({
  type: "external_account",
  audience: "//iam.googleapis.com/pools/p",
  subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
  token_url: `${cloud.url}/google/sts`,
  credential_source: { file: tokenFile() },
});

function identities(env: Env, metadata = false): CloudIdentities {
  const real = ambientOf(upstreams, env, metadata);
  const ambient: Ambient = {
    ...real,
    nowMs: () => nowMs,
    send: (url, request) => real.send(url.replace("https://iamcredentials.googleapis.com", cloud.url), request),
  };
  return new CloudIdentities(ambient, (provider, reason) => changes.push([provider, reason]));
}

function account(identity: CloudIdentityConfig, id = "team-a/bedrock"): ProviderAccount {
  const made = accountOf({ options: { region: "eu-central-1" } });
  return { ...made, config: { ...made.config, id, identity } };
}

const pass = (seconds: number): void => {
  nowMs += seconds * 1_000;
};

interface Source {
  env: () => Env;
  metadata?: boolean;
  identity: CloudIdentityConfig;
  /** What it gets, without the number at the end. */
  gets: string;
}

const sources: Record<string, Source> = {
  IRSA: { env: environments.irsa, identity: ownAws, gets: "session" },
  "EKS Pod Identity": { env: environments.podIdentity, identity: ownAws, gets: "session" },
  "an instance role of EC2": { env: environments.ec2, metadata: true, identity: ownAws, gets: "session" },
  "a role assumed with IRSA": {
    env: environments.irsa,
    identity: { ...ownAws, roleArn: "arn:aws:iam::444455556666:role/partner", externalId: "ext-1" },
    gets: "session",
  },
  "a role assumed with Pod Identity": {
    env: environments.podIdentity,
    identity: { ...ownAws, roleArn: "arn:aws:iam::444455556666:role/llm" },
    gets: "session",
  },
  "workload identity on AKS": { env: environments.aks, identity: ownAzure, gets: "entra" },
  "a managed identity of Azure": {
    env: environments.azureNode,
    metadata: true,
    identity: ownAzure,
    gets: "managed-https://cognitiveservices.azure.com",
  },
  "GKE's metadata server": { env: environments.gke, metadata: true, identity: ownGoogle, gets: "gke" },
  "a service account impersonated on GKE": {
    env: environments.gke,
    metadata: true,
    identity: { cloud: "google", serviceAccount: "llm@p.iam.gserviceaccount.com" },
    gets: "impersonated",
  },
  "workload identity federation with Google": { env: environments.federation, identity: ownGoogle, gets: "federated" },
};

const getting = async (from: CloudIdentities, by: ProviderAccount): Promise<string> => {
  const { identity } = by.config;
  if (identity?.cloud === "aws") return (await from.aws(by)).sessionToken ?? "";
  return from.bearer(by, identity?.cloud === "google" ? googleScope : scope);
};

for (const [name, { env, metadata, identity, gets }] of Object.entries(sources))
  describe(`an identity by ${name}`, () => {
    const by = account(identity);
    let from: CloudIdentities;
    beforeEach(async () => {
      await writeFile(join(folder, "external.json"), JSON.stringify(external()));
      from = identities(env(), metadata);
    });

    it("is got once for all that wait, and kept", async () => {
      const [first = "", second] = await Promise.all([getting(from, by), getting(from, by)]);
      const calls = cloud.asked.length;
      assert.equal(first.replace(/-\d+$/, ""), gets);
      assert.equal(second, first);
      assert.equal(await getting(from, by), first);
      assert.equal(cloud.asked.length, calls);
      assert.deepEqual(changes, []);
    });

    it("is renewed before it ends", async () => {
      const first = await getting(from, by);
      pass(3_600 * 0.79);
      assert.equal(await getting(from, by), first);
      pass(3_600 * 0.02);
      assert.notEqual(await getting(from, by), first);
    });

    it("stays in use while the cloud throttles its renewal, and is asked for again", async () => {
      const first = await getting(from, by);
      pass(3_600 * 0.85);
      cloud.failing = (response) => {
        response.writeHead(429, { "content-type": "application/json" });
        response.end("{}");
      };
      assert.equal(await getting(from, by), first);
      assert.match(from.reason("team-a/bedrock") ?? "", /answered 429/);
      cloud.failing = null;
      pass(6);
      assert.notEqual(await getting(from, by), first);
      assert.equal(from.reason("team-a/bedrock"), null);
      assert.deepEqual(
        changes.map(([, reason]) => reason === null),
        [false, true],
      );
    });

    it("is refused in words once it has ended and the cloud is down, and the cloud is left alone meanwhile", async () => {
      await getting(from, by);
      pass(7_200);
      cloud.failing = (response) => {
        response.writeHead(500, { "content-type": "text/plain" });
        response.end("sa-token-1 is bad");
      };
      await assert.rejects(getting(from, by), (error: TokenServiceError) => error.reason === "token_failed");
      const calls = cloud.asked.length;
      await assert.rejects(getting(from, by));
      assert.equal(cloud.asked.length, calls);
      pass(60);
      cloud.failing = null;
      assert.ok(await getting(from, by));
      assert.doesNotMatch(JSON.stringify(changes), /sa-token/);
    });

    it("is got again after it was forgotten", async () => {
      const first = await getting(from, by);
      from.forget(by);
      assert.notEqual(await getting(from, by), first);
    });

    it("is another for another provider", async () => {
      const first = await getting(from, by);
      assert.notEqual(await getting(from, account(identity, "team-b/other")), first);
    });

    it("is forgotten with its provider", async () => {
      const first = await getting(from, by);
      from.keep(new Set(["team-b/other"]));
      assert.notEqual(await getting(from, by), first);
    });
  });

describe("a token file that the kubelet renews", () => {
  for (const [name, env, identity] of [
    ["IRSA", environments.irsa, ownAws],
    ["Pod Identity", environments.podIdentity, ownAws],
    ["AKS", environments.aks, ownAzure],
    ["Google", environments.federation, ownGoogle],
  ] as const)
    it(`is read for each exchange: ${name}`, async () => {
      await writeFile(join(folder, "external.json"), JSON.stringify(external()));
      const from = identities(env());
      await getting(from, account(identity));
      const old = cloud.token;
      cloud.token = "sa-token-2";
      await writeFile(tokenFile(), cloud.token);
      pass(3_000);
      assert.ok(await getting(from, account(identity)));
      assert.equal(from.reason("team-a/bedrock"), null);
      cloud.token = old;
    });
});

describe("what the cloud says of an identity that it refuses", () => {
  interface Refused {
    env: () => Env;
    identity: CloudIdentityConfig;
    metadata?: boolean;
    /** Before the exchange. */
    given?: () => void | Promise<void>;
    said: RegExp;
    reason?: string;
  }
  const wrongToken = (): Promise<void> => writeFile(tokenFile(), "for another audience");
  const answer = (failing: CloudServices["failing"]) => () => {
    cloud.failing = failing;
  };
  const rows: Record<string, Refused> = {
    "IRSA, wrong audience": {
      env: environments.irsa,
      identity: ownAws,
      given: wrongToken,
      said: /^STS answered 400 InvalidIdentityToken$/,
    },
    "IRSA, expired": {
      env: environments.irsa,
      identity: ownAws,
      given: answer(stsError(400, "ExpiredTokenException")),
      said: /^STS answered 400 ExpiredTokenException$/,
    },
    "IRSA, throttled": {
      env: environments.irsa,
      identity: ownAws,
      given: answer(stsError(400, "Throttling")),
      said: /^STS answered 400 Throttling$/,
      reason: "token_failed",
    },
    "IRSA, no token in the answer": {
      env: environments.irsa,
      identity: ownAws,
      given: answer((response) => response.end("<html>")),
      said: /^STS answered without a token$/,
      reason: "token_invalid",
    },
    "IRSA, no file": {
      env: () => ({ ...environments.irsa(), AWS_WEB_IDENTITY_TOKEN_FILE: "/nowhere" }),
      identity: ownAws,
      said: /^the web identity token file of the proxy can't be read$/,
    },
    "IRSA, no role": {
      env: () => ({ AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile() }),
      identity: ownAws,
      said: /no AWS_ROLE_ARN$/,
    },
    "Pod Identity, wrong token": {
      env: environments.podIdentity,
      identity: ownAws,
      given: wrongToken,
      said: /^the EKS Pod Identity agent answered 400 InvalidTokenException$/,
    },
    "Pod Identity at an address of somebody's choice": {
      env: () => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://example.com/v1/credentials" }),
      identity: ownAws,
      said: /is not an address on the node$/,
    },
    "a role that asks for an external id": {
      env: environments.irsa,
      identity: { ...ownAws, roleArn: "arn:aws:iam::444455556666:role/partner" },
      said: /^STS answered 403 AccessDenied$/,
    },
    "no AWS role at all": { env: () => ({}), identity: ownAws, said: /annotate their ServiceAccount/ },
    "instance metadata that nobody allowed": {
      env: environments.ec2,
      identity: ownAws,
      said: /^the proxies have no AWS role/,
    },
    "AKS, wrong audience": {
      env: environments.aks,
      identity: ownAzure,
      given: wrongToken,
      said: /^Entra answered 401 AADSTS700213$/,
    },
    "AKS, a description that repeats a secret": {
      env: environments.aks,
      identity: ownAzure,
      given: answer(entraError(400, "invalid_request", "sa-token-1 AADSTS90014")),
      said: /^Entra answered 400 invalid_request$/,
    },
    "AKS, no client": {
      env: () => ({ AZURE_FEDERATED_TOKEN_FILE: tokenFile() }),
      identity: ownAzure,
      said: /no AZURE_CLIENT_ID or AZURE_TENANT_ID/,
    },
    "no Azure identity at all": { env: environments.azureNode, identity: ownAzure, said: /no Azure identity/ },
    "a managed identity that isn't there": {
      env: environments.azureNode,
      metadata: true,
      identity: { cloud: "azure", clientId: "unknown", tenantId: null },
      said: /^the managed identity endpoint answered 400 invalid_request$/,
    },
    "Google, wrong audience": {
      env: environments.federation,
      identity: ownGoogle,
      given: () => writeFile(join(folder, "external.json"), JSON.stringify({ ...external(), audience: "other" })),
      said: /^Google STS answered 400 invalid_grant$/,
    },
    "Google, a key in place of an external account": {
      env: environments.federation,
      identity: ownGoogle,
      given: () => writeFile(join(folder, "external.json"), JSON.stringify({ type: "service_account" })),
      said: /must name a file of type external_account$/,
    },
    "Google, a service account that may not be impersonated": {
      env: environments.gke,
      metadata: true,
      identity: { cloud: "google", serviceAccount: "stranger@p.iam.gserviceaccount.com" },
      said: /^IAM Credentials answered 403 PERMISSION_DENIED$/,
    },
    "no Google identity at all": { env: environments.gke, identity: ownGoogle, said: /set proxy.cloud.metadata/ },
  };
  for (const [name, { env, identity, metadata, given, said, reason = "token_identity_refused" }] of Object.entries(
    rows,
  ))
    it(name, async () => {
      await given?.();
      const from = identities(env(), metadata);
      await assert.rejects(getting(from, account(identity)), (error: TokenServiceError) => {
        assert.equal(error.reason, reason);
        assert.match(error.said ?? "", said);
        return true;
      });
      assert.match(from.reason("team-a/bedrock") ?? "", said);
      assert.doesNotMatch(JSON.stringify(changes), /sa-token|eyJhbGci/);
      await writeFile(join(folder, "external.json"), JSON.stringify(external()));
    });
});

describe("a session in AWS", () => {
  it("is named after its provider, and tagged where the object says so", async () => {
    const from = identities(environments.irsa());
    await from.aws(account({ ...ownAws, roleArn: "arn:aws:iam::444455556666:role/llm", tagged: true }));
    assert.equal(cloud.lastForm.get("RoleSessionName"), "sluice-team-a.bedrock");
    assert.deepEqual(
      [1, 2].map((at) => [cloud.lastForm.get(`Tags.member.${at}.Key`), cloud.lastForm.get(`Tags.member.${at}.Value`)]),
      [
        ["namespace", "team-a"],
        ["provider", "bedrock"],
      ],
    );
  });
  it("has no tags otherwise", async () => {
    await identities(environments.irsa()).aws(account({ ...ownAws, roleArn: "arn:aws:iam::444455556666:role/llm" }));
    assert.equal(cloud.lastForm.get("Tags.member.1.Key"), null);
  });
});

describe("the address of STS", () => {
  for (const [region, url] of [
    ["eu-central-1", "https://sts.eu-central-1.amazonaws.com/"],
    ["us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com/"],
    ["cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn/"],
    ["eusc-de-east-1", "https://sts.eusc-de-east-1.amazonaws.eu/"],
  ] as const)
    it(`is that of the region: ${region}`, async () => {
      const asked: string[] = [];
      const { AWS_ENDPOINT_URL_STS: _given, ...env } = environments.irsa();
      const ambient: Ambient = {
        ...ambientOf(upstreams, env, false),
        nowMs: () => nowMs,
        send: (to) => {
          asked.push(to);
          return Promise.resolve({ status: 500, body: "" });
        },
      };
      const { config, ...made } = account(ownAws);
      const there = { ...made, config: { ...config, options: { region } } };
      await assert.rejects(new CloudIdentities(ambient, () => {}).aws(there));
      assert.deepEqual(asked, [url]);
    });
});

describe("an address on the node", () => {
  for (const url of ["http://169.254.169.254/x", "http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1"])
    it(`is ${url}`, () => assert.ok(isOnNode(url)));
  for (const url of [
    "https://169.254.169.254/x",
    "http://169.254.169.253/",
    "http://10.0.0.1/",
    "http://example.com/",
    "http://169.254.169.254.example.com/",
    "http://[fd00:ec2::24]/",
    "ftp://127.0.0.1/",
    "not a url",
  ])
    it(`isn't ${url}`, () => assert.ok(!isOnNode(url)));
});
