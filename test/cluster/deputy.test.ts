/** The operator does for nobody what Kubernetes would not let them do: it reads and writes only Secrets that it was given. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import {
  type Cluster,
  conditionsOf,
  type OperatorProcess,
  skipWithoutCluster,
  startCluster,
  untilCondition,
} from "../harness/cluster.ts";
import { until } from "../harness/until.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const skip = await skipWithoutCluster();

const password = "hunter2-the-database-password";

describe("someone who may write only Sluice's objects", { skip }, () => {
  let cluster: Cluster;
  let upstream: Upstream;
  let operator: OperatorProcess;

  const object = (kind: string, name: string, spec: unknown): string =>
    JSON.stringify({ apiVersion: "sluice.dev/v1alpha1", kind, metadata: { name, namespace: "team-a" }, spec });
  const secret = (name: string, stringData: object, labels: object = {}): string =>
    JSON.stringify({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name, namespace: "team-a", labels },
      stringData,
    });
  const apply = (...documents: string[]): Promise<void> => cluster.apply(documents.join("\n---\n"));
  const dataOf = async (name: string): Promise<Record<string, string>> => {
    const text = await cluster.kubectl("get", "secret", name, "-n", "team-a", "-o", "jsonpath={.data}");
    const data = JSON.parse(text) as Record<string, string>;
    return Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]),
    );
  };
  const rotated = (name: string, reason: string) =>
    untilCondition(cluster, "team-a", `apikey/${name}`, { type: "Rotated", status: "False", reason });

  before(async () => {
    upstream = await startUpstream();
    cluster = await startCluster({ proxies: 1, namespaces: ["team-a"], set: ["operator.resyncMs=1000"] });
    operator = await cluster.startOperator();
  });
  after(async () => {
    await cluster?.stop();
    await upstream?.close();
  });

  it("reads no Secret without its owner's consent, and learns which label gives it", async () => {
    await apply(
      secret("db", { password }),
      object("LLMProvider", "thief", {
        type: "OpenAICompatible",
        endpoint: `${upstream.url}/v1`,
        allowPrivateEndpoint: true,
        credentials: { secretRef: { name: "db", key: "password" } },
        models: [{ name: "m" }],
        healthCheck: { path: "/leak", interval: "1s" },
      }),
    );
    const told = await untilCondition(cluster, "team-a", "llmprovider/thief", {
      type: "ResolvedRefs",
      status: "False",
      reason: "SecretNotPermitted",
    });
    assert.match(
      told.message,
      /Secret db does not let Sluice use it; .*kubectl -n team-a label secret db sluice\.dev\/readable=true/,
    );
    const published = JSON.parse(
      await cluster.kubectl("get", "secret", "sluice-credentials", "-n", "sluice-system", "-o", "jsonpath={.data}"),
    ) as Record<string, string>;
    assert.ok(!Object.values(published).some((value) => Buffer.from(value, "base64").toString() === password));
    assert.ok(!upstream.requests.some(({ headers }) => JSON.stringify(headers).includes(password)));

    await cluster.kubectl("label", "secret", "db", "-n", "team-a", "sluice.dev/readable=true");
    await untilCondition(cluster, "team-a", "llmprovider/thief", { type: "ResolvedRefs", status: "True" });
    await cluster.kubectl("delete", "llmprovider", "thief", "-n", "team-a");
    await cluster.kubectl("label", "secret", "db", "-n", "team-a", "sluice.dev/readable-");
  });

  const asked = (): { requestedAt: string; grace: string } => ({
    requestedAt: new Date(Date.now() - 1000).toISOString(),
    grace: "1s",
  });

  it("overwrites no value of a Secret that Sluice did not make", async () => {
    await apply(
      object("ApiKey", "vandal", {
        user: "mallory",
        writeTo: { name: "db", key: "password" },
        rotation: { requestedAt: new Date(Date.now() + 2_000).toISOString(), grace: "1s" },
      }),
    );
    const told = await rotated("vandal", "SecretNotOwned");
    assert.match(told.message, /Sluice did not make Secret db/);
    await until("the moment of the rotation has passed", async () => {
      const { Rotated } = await conditionsOf(cluster, "team-a", "apikey/vandal");
      assert.ok(Rotated && Date.now() - Date.parse(Rotated.lastTransitionTime) > 5_000);
    });
    assert.deepEqual(await dataOf("db"), { password });
    await cluster.kubectl("delete", "apikey", "vandal", "-n", "team-a");
  });

  it("adds no key to a Secret of somebody else, until its owner hands it over", async () => {
    await apply(object("ApiKey", "squatter", { user: "mallory", writeTo: { name: "db" } }));
    const told = await untilCondition(cluster, "team-a", "apikey/squatter", {
      type: "ResolvedRefs",
      status: "False",
      reason: "SecretNotOwned",
    });
    assert.match(told.message, /label secret db sluice\.dev\/writable=true/);
    assert.deepEqual(await dataOf("db"), { password });
    await cluster.kubectl("label", "secret", "db", "-n", "team-a", "sluice.dev/writable=true");
    await untilCondition(cluster, "team-a", "apikey/squatter", { type: "Programmed", status: "True" });
    const { apiKey, password: kept } = await dataOf("db");
    assert.match(apiKey ?? "", /^slc_/);
    assert.equal(kept, password);
  });

  it("has no value replaced that somebody wrote by hand, in a Secret that was handed over", async () => {
    const mine = "a-key-that-i-wrote-by-hand-0001";
    await apply(
      secret("handed", { apiKey: mine, note: "mine" }, { "sluice.dev/writable": "true" }),
      object("ApiKey", "handed", { user: "h", writeTo: { name: "handed" }, rotation: asked() }),
    );
    const told = await rotated("handed", "SecretNotOwned");
    assert.match(told.message, /Sluice did not write the value of apiKey in Secret handed/);
    assert.deepEqual(await dataOf("handed"), { apiKey: mine, note: "mine" });
    // It goes on serving as it is.
    await untilCondition(cluster, "team-a", "apikey/handed", { type: "Programmed", status: "True" });
  });

  it("keeps what stands where rotation would put the key before", async () => {
    await apply(
      secret("neighbour", { "apiKey-previous": "mine" }, { "sluice.dev/writable": "true" }),
      object("ApiKey", "neighbour", { user: "b", writeTo: { name: "neighbour" }, rotation: asked() }),
    );
    await rotated("neighbour", "SecretNotOwned");
    assert.equal((await dataOf("neighbour"))["apiKey-previous"], "mine");
  });

  it("rotates a key that Sluice made, but not by an ApiKey of somebody else that names the same one", async () => {
    await apply(object("ApiKey", "alice", { user: "alice", writeTo: { name: "alice-key" } }));
    await untilCondition(cluster, "team-a", "apikey/alice", { type: "Programmed", status: "True" });
    const { apiKey } = await dataOf("alice-key");
    await apply(object("ApiKey", "mallory", { user: "mallory", writeTo: { name: "alice-key" }, rotation: asked() }));
    await untilCondition(cluster, "team-a", "apikey/mallory", { type: "Accepted", reason: "DuplicateKey" });
    assert.equal((await dataOf("alice-key"))["apiKey"], apiKey);
    await cluster.kubectl("delete", "apikey", "mallory", "-n", "team-a");
    await apply(object("ApiKey", "alice", { user: "alice", writeTo: { name: "alice-key" }, rotation: asked() }));
    await until("alice's own is rotated", async () => assert.notEqual((await dataOf("alice-key"))["apiKey"], apiKey));
  });

  it("can't pass a weak value off as an API key, nor a provider's credential", async () => {
    const credential = "sk-the-providers-own-credential";
    await apply(
      secret("provider", { apiKey: credential }, { "sluice.dev/readable": "true" }),
      object("LLMProvider", "up", {
        type: "OpenAICompatible",
        endpoint: `${upstream.url}/v1`,
        allowPrivateEndpoint: true,
        credentials: { secretRef: { name: "provider" } },
        models: [{ name: "m" }],
      }),
      secret("weak", { short: "nineteen-characters", same: credential }),
      object("ApiKey", "short", { user: "s", writeTo: { name: "weak", key: "short" } }),
      object("ApiKey", "same", { user: "s", writeTo: { name: "weak", key: "same" } }),
    );
    const weak = { type: "ResolvedRefs", status: "False", reason: "WeakKey" };
    const short = await untilCondition(cluster, "team-a", "apikey/short", weak);
    assert.match(short.message, /an API key has at least 20 characters/);
    const same = await untilCondition(cluster, "team-a", "apikey/same", weak);
    assert.match(same.message, /used as a credential by another object/);
    assert.ok(!`${short.message}${same.message}`.includes(credential));
    for (const clear of ["nineteen-characters", credential]) {
      const answer = await fetch(`${cluster.proxies[0]?.url}/v1/models`, {
        headers: { authorization: `Bearer ${clear}` },
      });
      assert.equal(answer.status, 401);
    }
  });

  it("learns nothing of the operator's network from a test alert", async () => {
    const notFound = createServer((_, response) => response.writeHead(404).end());
    after(() => notFound.close());
    await once(notFound.listen(0, "127.0.0.1"), "listening");
    const urls = {
      closed: "http://127.0.0.1:9/",
      missing: `http://127.0.0.1:${(notFound.address() as AddressInfo).port}/`,
      tls: `${upstream.url.replace("http:", "https:")}/`,
    };
    await apply(
      secret("hooks", urls, { "sluice.dev/readable": "true" }),
      JSON.stringify({
        apiVersion: "sluice.dev/v1alpha1",
        kind: "Budget",
        metadata: { name: "scan", namespace: "team-a", annotations: { "sluice.dev/test-alerts": "one" } },
        spec: {
          amount: "1",
          period: "Daily",
          alerts: Object.keys(urls).map((key) => ({ webhook: { secretRef: { name: "hooks", key } } })),
        },
      }),
    );
    const results = await until("the test is done", async () => {
      const text = await cluster.kubectl(
        "get",
        "budget",
        "scan",
        "-n",
        "team-a",
        "-o",
        "jsonpath={.status.alertTest.results}",
      );
      return JSON.parse(text) as { result: string }[];
    });
    assert.deepEqual(new Set(results.map(({ result }) => result)), new Set(["not sent; the operator's log says why"]));
    assert.match(cluster.logs(), /ECONNREFUSED/);
  });

  it("is counted, by kind and reason", async () => {
    const text = await (await fetch(`${operator.statusUrl}/metrics`)).text();
    assert.match(text, /sluice_operator_refusals\{kind="ApiKey",reason="WeakKey"\} 2/);
    assert.match(text, /sluice_operator_refusals\{kind="ApiKey",reason="SecretNotOwned"\} 2/);
  });
});
