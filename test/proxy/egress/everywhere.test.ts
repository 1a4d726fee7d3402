/** Every connection that leaves the network goes through the egress proxy: gateway, operator, sidecar and commands. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { connectCluster, useEgress } from "../../../operator/cluster/api.ts";
import { PooledKubeConfig } from "../../../operator/cluster/kube-config.ts";
import { send } from "../../../operator/delivery/send.ts";
import { egressOf } from "../../../proxy/config/egress/egress.ts";
import { type RunningSidecar, startSidecar } from "../../../proxy/sidecar/main.ts";
import { parseSidecarSettings } from "../../../proxy/sidecar/settings.ts";
import { createLogger } from "../../../proxy/telemetry/log.ts";
import { certificateAuthority } from "../../harness/certificates.ts";
import { removeFolder, temporaryFolder } from "../../harness/child.ts";
import { type ConnectProxy, startConnectProxy } from "../../harness/connect-proxy.ts";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { type Issuer, startIssuer } from "../../harness/issuer.ts";
import { sluiceWith } from "../../harness/sluice.ts";
import { type Answer, json, openai, startUpstream, type Upstream } from "../../harness/upstream.ts";

const alice = "slc_egress_alice_00001";
const names = ["models", "iam", "jwks", "otlp", "hooks", "gateway", "kubernetes"] as const;
type Name = (typeof names)[number];
const hostOf = (name: Name): string => `${name}.example.test`;
const portOf = (url: string): number => Number(new URL(url).port);

const others: Answer = (request, response) => {
  if (request.path === "/identity/token") return json(response, 200, { access_token: "from-iam", expires_in: 3600 });
  if (request.path === "/v1/models") return json(response, 200, { data: [{ id: "gpt-4o" }] });
  if (request.path.startsWith("/api/v1/namespaces/"))
    return json(response, 200, { apiVersion: "v1", kind: "Namespace", metadata: { name: "there" } });
  json(response, 200, { path: request.path });
};

describe("connections that leave the network", () => {
  let folder: string;
  let proxy: ConnectProxy;
  let model: Upstream;
  let other: Upstream;
  let issuer: Issuer;
  let gateway: TestGateway;
  let env: Record<string, string>;
  let sidecar: RunningSidecar | null = null;
  const authorities = getCACertificates("default");

  before(async () => {
    const authority = await certificateAuthority();
    setDefaultCACertificates([...authorities, authority.cert]);
    const pair = await authority.issue(...names.map(hostOf));
    folder = await temporaryFolder("egress");
    const file = async (name: string, text: string): Promise<string> => {
      await writeFile(join(folder, name), text);
      return join(folder, name);
    };
    model = await startUpstream(openai, pair);
    other = await startUpstream(others, pair);
    issuer = await startIssuer("ES256", pair);
    const ports: Partial<Record<Name, number>> = { models: portOf(model.url), jwks: portOf(issuer.url) };
    proxy = await startConnectProxy({
      routes: Object.fromEntries(names.map((name) => [`${hostOf(name)}:443`, ports[name] ?? portOf(other.url)])),
      user: "sluice",
      password: "pa:ss@word",
    });
    env = {
      HTTPS_PROXY: proxy.url,
      SLUICE_EGRESS_PROXY_USERNAME: "sluice",
      SLUICE_EGRESS_PROXY_PASSWORD: "pa:ss@word",
    };
    const ca = await file("ca.crt", authority.cert);
    const jwt = {
      name: "ours",
      kind: "OIDC",
      issuer: issuer.url,
      namespace: "default",
      audiences: ["sluice"],
      jwksUrl: `https://${hostOf("jwks")}/keys`,
    };
    const settings = await file("settings.yaml", JSON.stringify({ identity: { issuers: [jwt] } }));
    const tls = { tls: { caBundle: authority.cert } };
    gateway = await startGateway(
      [
        provider("up", "https://models.example.test", {
          type: "Watsonx",
          allowPrivateEndpoint: false,
          endpoint: "https://models.example.test",
          options: { projectId: "p", iamUrl: "https://iam.example.test" },
          tokenService: tls,
          ...tls,
        }),
        secret("up-credentials", { apiKey: "watsonx-key" }),
        policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
        ...key("alice", alice),
      ],
      [
        `--settings=${settings}`,
        ...["--otlp-url=https://otlp.example.test", `--otlp-ca=${ca}`, "--trace-ratio=1"],
        ...["--audit-otlp-url=https://otlp.example.test/v1/logs", `--audit-otlp-ca=${ca}`],
      ],
      env,
    );
  });
  beforeEach(() => {
    proxy.asked.length = 0;
    other.requests.length = 0;
  });
  after(async () => {
    setDefaultCACertificates(authorities);
    await sidecar?.close();
    await gateway?.close();
    await Promise.all([model?.close(), other?.close(), issuer?.close()]);
    await proxy?.close();
    await removeFolder(folder);
  });

  const call = async (credential: string): Promise<number> => {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${credential}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "hi" }] }),
    });
    await response.text();
    return response.status;
  };
  /** Telemetry comes when it comes. */
  const came = (...expected: Name[]): void => {
    const asked = new Set(proxy.asked.filter((one) => expected.includes("otlp") || !one.startsWith("otlp.")));
    assert.deepEqual([...asked].sort(), expected.map((name) => `${hostOf(name)}:443`).sort());
  };

  it("calls to providers, token services and issuers, and telemetry", async () => {
    assert.equal(await call(await issuer.token()), 200, gateway.logText());
    await eventually(() => {
      const paths = other.requests.map(({ path }) => path);
      return ["/identity/token", "/v1/traces", "/v1/logs"].every((path) => paths.includes(path));
    });
    came("models", "iam", "jwks", "otlp");
    assert.deepEqual(proxy.complaints, []);
  });

  it("what it refuses is named in the log, and the proxy's credentials nowhere", async () => {
    proxy.mood = 403;
    for (const socket of proxy.tunnels) socket.destroy();
    assert.equal(await call(alice), 502);
    proxy.mood = "working";
    const causes = gateway.logs.map((line) => line["cause"]);
    assert.ok(causes.includes("proxy_refused"), JSON.stringify(causes));
    for (const text of ["pa:ss", Buffer.from("sluice:pa:ss@word").toString("base64"), encodeURIComponent("pa:ss@word")])
      assert.ok(!gateway.logText().includes(text) && !JSON.stringify(await gateway.status()).includes(text));
    assert.ok(gateway.logText().includes(`"https":"http://localhost:${proxy.port}"`));
  });

  it("alerts", async () => {
    const senders = { smtp: null, pagerDutyURL: "", allowPrivate: false, egress: egressOf(env), nowMs: Date.now };
    const alert = {
      ...{ key: "k", incident: "k", event: "Threshold", state: "Active", severity: "warning", about: "Budget/a/b" },
      ...{ title: "80 %", text: "80 %", facts: {}, atMs: 0 },
    } as const;
    const channel = {
      ...{ id: "1", place: "spec.alerts", type: "webhook", secret: "d", signingKey: null, to: [] },
      ...{ events: null, message: null },
    } as never;
    const to = (url: string) => send(alert as never, channel, { ...senders, secret: () => url });
    assert.deepEqual(await to("https://hooks.example.test/a"), { outcome: "done" });
    came("hooks");
    assert.deepEqual(await to("https://10.0.0.1/a"), {
      outcome: "never",
      why: "the URL leads to an address that is not allowed",
    });
    proxy.mood = 407;
    const refused = await to("https://hooks.example.test/b");
    proxy.mood = "working";
    assert.deepEqual(refused, { outcome: "retry", why: "no connection (ESLUICEPROXYAUTH)", afterMs: null });
  });

  it("the API server, unless NO_PROXY or the kubeconfig says otherwise", async () => {
    const configOf = (more: Record<string, string>, cluster: Record<string, unknown> = {}): PooledKubeConfig => {
      const config = new PooledKubeConfig();
      config.loadFromOptions({
        clusters: [{ name: "c", server: "https://kubernetes.example.test", skipTLSVerify: false, ...cluster }],
        users: [{ name: "u", token: "t" }],
        contexts: [{ name: "x", cluster: "c", user: "u" }],
        currentContext: "x",
      });
      useEgress(config, egressOf({ ...env, ...more }));
      return config;
    };
    const read = await connectCluster(configOf({})).core.readNamespace({ name: "there" });
    assert.equal(read.metadata?.name, "there");
    came("kubernetes");
    const proxyUrl = (config: PooledKubeConfig): string | undefined => config.getCurrentCluster()?.proxyUrl;
    assert.equal(proxyUrl(configOf({ NO_PROXY: ".example.test" })), undefined);
    assert.equal(proxyUrl(configOf({}, { proxyUrl: "http://own:1" })), "http://own:1");
  });

  it("a sidecar's calls to a gateway elsewhere", async () => {
    const token = join(folder, "token");
    await writeFile(token, "a.b.c");
    const flags = ["--fleet=https://gateway.example.test", "--port=0", "--status-port=0", `--token-file=${token}`];
    sidecar = await startSidecar(
      parseSidecarSettings([...flags, `--ca-file=${join(folder, "ca.crt")}`], {}),
      createLogger("silent", "test"),
      undefined,
      egressOf(env),
    );
    for (let at = 0; at < 3; at++) assert.equal((await fetch(`${sidecar.url}/v1/models`)).status, 200);
    assert.equal(proxy.asked.filter((one) => one === "gateway.example.test:443").length, 1);
    const relayed = other.requests.find(({ headers }) => headers.host === "gateway.example.test");
    assert.equal(relayed?.headers.authorization, "Bearer a.b.c");
  });

  it("commands, which trust NODE_EXTRA_CA_CERTS", async () => {
    const { code, stdout, stderr } = await sluiceWith(
      {
        env: {
          PATH: process.env["PATH"],
          HOME: folder,
          ...env,
          SLUICE_API_KEY: "slc_x",
          NODE_EXTRA_CA_CERTS: join(folder, "ca.crt"),
        },
      },
      ...["connect", "codex", "--url", "https://gateway.example.test"],
    );
    assert.equal(code, 0, stderr);
    assert.match(stdout, /gpt-4o/);
    came("gateway");
  });

  it("a proxy that can't be one ends the process with a message, without the password", async () => {
    for (const command of [["proxy"], ["sidecar", "--fleet=http://gateway"]]) {
      const { code, stderr } = await sluiceWith(
        { env: { PATH: process.env["PATH"], HTTPS_PROXY: "socks5://user:hunter2@proxy" } },
        ...command,
      );
      assert.equal(code, 2, stderr);
      assert.match(stderr, /HTTPS_PROXY must be an address such as http:\/\/proxy\.example\.com:3128/);
      assert.ok(!stderr.includes("hunter2"));
    }
  });
});
