/** A client certificate from a Secret to the provider's server, through API server, operator and proxies, under the chart's rights. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { certificateAuthority, type Pair } from "../harness/certificates.ts";
import { type Cluster, skipWithoutCluster, startCluster, untilCondition } from "../harness/cluster.ts";
import { until } from "../harness/until.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const skip = await skipWithoutCluster();

const clear = "slc_client_certificate_0001";

describe("a client certificate in a cluster", { skip }, () => {
  let cluster: Cluster;
  let upstream: Upstream;
  let first: Pair;
  let renewed: Pair;

  /** The API server itself sees to it that one of this type has both keys. */
  const pairSecret = ({ cert, key }: Pair): string =>
    JSON.stringify({
      apiVersion: "v1",
      kind: "Secret",
      type: "kubernetes.io/tls",
      metadata: { name: "sluice-to-llm", namespace: "team-a", labels: { "sluice.dev/readable": "true" } },
      stringData: { "tls.crt": cert, "tls.key": key },
    });
  const object = (kind: string, name: string, spec: unknown): string =>
    JSON.stringify({ apiVersion: "sluice.dev/v1alpha1", kind, metadata: { name, namespace: "team-a" }, spec });
  const keySecret = JSON.stringify({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "alice", namespace: "team-a" },
    stringData: { apiKey: clear },
  });

  /** The certificate that the server has seen of a call. */
  const shown = async (): Promise<string | null> => {
    upstream.requests.length = 0;
    const answer = await fetch(`${cluster.proxies[0]?.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "small", messages: [{ role: "user", content: "ping" }] }),
    });
    assert.equal(answer.status, 200, await answer.text());
    return upstream.requests[0]?.client ?? null;
  };
  const fingerprint = ({ cert }: Pair): string => new X509Certificate(cert).fingerprint256;

  let caBundle = "";

  before(async () => {
    const authority = await certificateAuthority();
    caBundle = authority.cert;
    [first, renewed] = await Promise.all([authority.issue("one.internal"), authority.issue("two.internal")]);
    upstream = await startUpstream(undefined, { ...(await authority.issue("127.0.0.1")), clientCa: authority.cert });
    cluster = await startCluster({ proxies: 1, namespaces: ["team-a"], set: ["operator.resyncMs=1000"] });
    await cluster.startOperator();
    await cluster.apply(
      [
        pairSecret(first),
        keySecret,
        object("LLMProvider", "main", {
          type: "OpenAICompatible",
          endpoint: upstream.url,
          allowPrivateEndpoint: true,
          tls: { caBundle: authority.cert, clientCertificate: { secretRef: { name: "sluice-to-llm" } } },
          models: [{ name: "small" }],
        }),
        object("RoutingPolicy", "chat", {
          match: { models: ["small"] },
          routing: { targets: [{ provider: { name: "main" } }] },
        }),
        object("ApiKey", "alice", { user: "alice@example.com", writeTo: { name: "alice" } }),
      ].join("\n---\n"),
    );
    for (const name of ["llmprovider/main", "routingpolicy/chat", "apikey/alice"])
      await untilCondition(cluster, "team-a", name, { type: "Programmed", status: "True" });
  });
  after(async () => {
    await cluster?.stop();
    await upstream?.close();
  });

  it("is shown to the server, and stands in no ConfigMap", async () => {
    assert.equal(await shown(), fingerprint(first));
    const maps = await cluster.kubectl("get", "configmaps", "-A", "-o", "json");
    const inside = first.key.split("\n")[1]?.trim() ?? "";
    assert.ok(inside.length > 40 && !maps.includes(inside));
    assert.doesNotMatch(maps, /PRIVATE KEY/);
  });

  it("is the renewed one soon after the Secret is, without a restart", async () => {
    await cluster.apply(pairSecret(renewed));
    await until("the server sees the new one", async () => assert.equal(await shown(), fingerprint(renewed)));
  });

  it("stays what it was where the new key doesn't fit, and the status says so", async () => {
    await cluster.apply(pairSecret({ cert: first.cert, key: renewed.key }));
    const { message } = await untilCondition(cluster, "team-a", "llmprovider/main", {
      type: "ResolvedRefs",
      status: "False",
      reason: "SecretUnusable",
    });
    assert.match(
      message,
      /Secret sluice-to-llm has a tls\.key that is not the key of the first certificate in tls\.crt/,
    );
    assert.equal(await shown(), fingerprint(renewed));
  });

  it("has its failure told by kubectl, where the server asks for one and gets none", async () => {
    const spec = {
      type: "OpenAICompatible",
      endpoint: upstream.url,
      allowPrivateEndpoint: true,
      tls: { caBundle },
      models: [{ name: "bare" }],
    };
    const breaker = { circuitBreaker: { failureThreshold: 1 }, retry: { attempts: 1 } };
    const targets = [{ provider: { name: "bare" } }];
    await cluster.apply(
      [
        object("LLMProvider", "bare", { ...spec, ...breaker }),
        object("RoutingPolicy", "bare", { match: { models: ["bare"] }, routing: { targets } }),
      ].join("\n---\n"),
    );
    for (const name of ["llmprovider/bare", "routingpolicy/bare"])
      await untilCondition(cluster, "team-a", name, { type: "Programmed", status: "True" });
    const answer = await fetch(`${cluster.proxies[0]?.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "bare", messages: [{ role: "user", content: "ping" }] }),
    });
    assert.deepEqual([answer.status, /certificate/.test(await answer.text())], [502, false]);
    const { message } = await untilCondition(cluster, "team-a", "llmprovider/bare", {
      type: "Healthy",
      status: "False",
      reason: "Unreachable",
    });
    assert.match(
      message,
      /it asks the gateway for a certificate \(tls_client_certificate_missing\) on 1; breaker open for bare \(tls_client_certificate_missing\) on 1/,
    );
    assert.match(
      await cluster.kubectl("describe", "llmprovider", "bare", "-n", "team-a"),
      /tls_client_certificate_missing/,
    );
  });
});
