import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { certificateAuthority } from "../../harness/certificates.ts";
import { removeFolder, temporaryFolder } from "../../harness/child.ts";
import {
  eventually,
  key,
  type Manifest,
  policy,
  provider,
  secret,
  startGateway,
  type TestGateway,
} from "../../harness/gateway.ts";
import { type Issuer, startIssuer } from "../../harness/issuer.ts";
import { startUpstream, type Upstream } from "../../harness/upstream.ts";

const clear = "slc_alice_key_0001";

describe("callers with tokens", () => {
  let upstream: Upstream;
  let corp: Issuer;
  let cluster: Issuer;
  let internal: Issuer;
  let certified: Issuer;
  let uncertified: Issuer;
  let gateway: TestGateway;
  let folder: string;

  before(async () => {
    [upstream, corp, cluster, internal] = await Promise.all([
      startUpstream(),
      startIssuer(),
      startIssuer("RS256"),
      startIssuer(),
    ]);
    const ours = await certificateAuthority("Ours");
    const pair = await ours.issue("127.0.0.1");
    [certified, uncertified] = await Promise.all([startIssuer("ES256", pair), startIssuer("ES256", pair)]);
    folder = await temporaryFolder("identity");
    const shared = { audiences: ["sluice"], allowPrivateEndpoint: true };
    await writeFile(
      join(folder, "settings.yaml"),
      stringify({
        roles: { workload: { permissions: ["use_models"] } },
        identity: {
          issuers: [
            {
              ...shared,
              name: "corp",
              kind: "OIDC",
              issuer: corp.url,
              namespace: "default",
              claims: { user: "email", role: "role", tags: "groups" },
            },
            {
              ...shared,
              name: "cluster",
              kind: "Kubernetes",
              issuer: cluster.url,
              jwks: cluster.keys(),
              defaults: { role: "workload" },
            },
            {
              ...shared,
              name: "certified",
              kind: "OIDC",
              issuer: certified.url,
              namespace: "default",
              caBundle: `# ours\n${ours.cert}`,
              claims: { user: "email" },
            },
            { ...shared, name: "uncertified", kind: "OIDC", issuer: uncertified.url, namespace: "default" },
            {
              ...shared,
              name: "internal",
              kind: "OIDC",
              issuer: internal.url,
              namespace: "default",
              allowPrivateEndpoint: false,
              jwksUrl: `${internal.url.replace("http:", "https:")}/keys`,
            },
          ],
        },
      }),
    );
    const served = (name: string, namespace: string, spec: object = {}): Manifest => ({
      kind: "RoutingPolicy",
      metadata: { name, namespace },
      spec: {
        match: { models: [name] },
        routing: { targets: [{ provider: { name: "up", namespace: "default" }, model: "gpt-4o" }] },
        ...spec,
      },
    });
    gateway = await startGateway(
      [
        provider("up", upstream.url, { allowedNamespaces: { from: "All" } }),
        secret("up-credentials", { apiKey: "sk-upstream" }),
        served("everyone", "default"),
        served("scientists", "default", { access: { roles: ["data-scientist"] } }),
        served("tagged", "default", { access: { tags: ["internal"] } }),
        served("theirs", "team-b"),
        policy("open", {
          match: { pathPrefix: "/open" },
          access: { anonymous: true },
          routing: { targets: [{ provider: { name: "up" }, model: "gpt-4o" }] },
        }),
        ...key("alice", clear),
      ],
      ["--settings", join(folder, "settings.yaml")],
    );
  });
  after(async () => {
    await gateway.close();
    for (const one of [upstream, corp, cluster, internal, certified, uncertified]) await one.close();
    removeFolder(folder);
  });

  const call = async (token: string, model: string, path = "/v1/chat/completions", header = "authorization") => {
    const answer = await fetch(`${gateway.url}${path}`, {
      method: "POST",
      headers: { [header]: header === "authorization" ? `Bearer ${token}` : token, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }] }),
    });
    const body = (await answer.json()) as { error?: { code: string } };
    return `${answer.status} ${body.error?.code ?? "ok"}`;
  };
  const alice = { email: "alice@example.com", role: "data-scientist", groups: ["internal"] };
  /** Of as many groups as real directories have. */
  const member = (count: number) => ({
    ...alice,
    groups: [
      ...Array.from({ length: count }, (_, index) => `b7f1c2de-0000-4000-8000-${String(index).padStart(12, "0")}`),
      "internal",
    ],
  });
  const workload = {
    sub: "system:serviceaccount:team-b:worker",
    "kubernetes.io": { namespace: "team-b", serviceaccount: { name: "worker", uid: "u" } },
  };

  const rows: [what: string, token: () => Promise<string>, model: string, expected: string][] = [
    ["a token without role", () => corp.token({ email: "bob@example.com" }), "everyone", "200 ok"],
    [
      "a token without the role that is asked for",
      () => corp.token({ email: "bob@example.com" }),
      "scientists",
      "403 access_denied",
    ],
    ["a token with the role", () => corp.token(alice), "scientists", "200 ok"],
    ["a token with the tag", () => corp.token(alice), "tagged", "200 ok"],
    ["a token of more than 8,192 characters", () => corp.token(member(150)), "tagged", "200 ok"],
    ["a token of more than 12,000 characters", () => corp.token(member(250)), "tagged", "200 ok"],
    ["a token of another namespace's policy", () => corp.token(alice), "theirs", "404 model_not_found"],
    ["a workload's token in its namespace", () => cluster.token(workload), "theirs", "200 ok"],
    ["a workload's token elsewhere", () => cluster.token(workload), "everyone", "404 model_not_found"],
    ["an expired token", () => corp.token({ ...alice, iat: 1, exp: 60 }), "everyone", "401 expired_token"],
    ["a token for somebody else", () => corp.token({ ...alice, aud: "other" }), "everyone", "401 invalid_token"],
    [
      "a token of an issuer whose keys are at an address that is not allowed",
      () => internal.token(alice),
      "everyone",
      "503 identity_unavailable",
    ],
    ["a token of an issuer with a private authority", () => certified.token(alice), "everyone", "200 ok"],
    [
      "a token of one whose authority nobody stated",
      () => uncertified.token(alice),
      "everyone",
      "503 identity_unavailable",
    ],
    ["a word with dots", () => Promise.resolve("a.b.c"), "everyone", "401 invalid_token"],
    ["an API key", () => Promise.resolve(clear), "everyone", "200 ok"],
  ];
  for (const [what, token, model, expected] of rows)
    it(`${what}: ${expected}`, async () => assert.equal(await call(await token(), model), expected));

  it("may send it as SDKs send keys", async () => {
    assert.equal(await call(await corp.token(alice), "everyone", "/v1/chat/completions", "x-api-key"), "200 ok");
  });

  it("meet open routes with any token", async () => {
    assert.equal(await call(await corp.token({ ...alice, aud: "other" }), "gpt-4o", "/open"), "200 ok");
  });

  it("have the reason in the log where keys can't be fetched", async () => {
    assert.equal(await call(await uncertified.token(alice), "everyone"), "503 identity_unavailable");
    assert.deepEqual(uncertified.asked, []);
    const line = gateway.logs.find((log) => log["issuer"] === "uncertified");
    assert.match(String(line?.["err"]), /certificate/);
  });

  it("reach no issuer at an address that is not allowed", () => assert.deepEqual(internal.asked, []));

  it("are in the log by name, and their tokens nowhere", async () => {
    const token = await corp.token({ ...alice, jti: "in-the-log" });
    await call(token, "everyone");
    const line = await eventually(() => gateway.logs.find((log) => log["key"] === "default/corp:alice@example.com"));
    assert.equal(line["user"], "alice@example.com");
    const everything = gateway.logText() + (await gateway.metrics());
    for (const part of token.split(".")) assert.ok(!everything.includes(part));
    assert.match(await gateway.metrics(), /ai_gateway_unauthorized_attempts\{reason="invalid_token"\} [1-9]/);
  });

  it("see only the models that they may call", async () => {
    const answer = await fetch(`${gateway.url}/v1/models`, {
      headers: { authorization: `Bearer ${await corp.token({ email: "bob@example.com" })}` },
    });
    assert.deepEqual(
      ((await answer.json()) as { data: { id: string }[] }).data.map((one) => one.id),
      ["everyone"],
    );
  });
});
