/** A gateway under traffic in which everything happens that metrics, dashboards and alert rules are about. */
import { key, type Manifest, policy, provider, secret, startGateway, type TestGateway } from "./gateway.ts";
import { json, openai, startUpstream, type Upstream } from "./upstream.ts";

export const busyKey = "sk-busy-0123456789abcdefghijklmnopqrstuvwxyz";
const tightKey = "sk-tight-0123456789abcdefghijklmnopqrstuvwxyz";
const poorKey = "sk-poor-0123456789abcdefghijklmnopqrstuvwxyz";

const priced = {
  models: [{ name: "gpt-4o", price: { inputPerMillion: "2.5", outputPerMillion: "10" }, sunset: "2031-01-01" }],
};
const to = (...names: string[]) => ({ targets: names.map((name) => ({ provider: { name }, model: "gpt-4o" })) });

const copiedTo = (name: string) => ({ target: { provider: { name }, model: "gpt-4o" }, percent: 100 });

/** With the labels by which a cluster's operator may use it. */
const labelled = (manifest: Manifest, labels: Record<string, string>): Manifest => ({
  ...manifest,
  metadata: { ...manifest.metadata, labels } as Manifest["metadata"],
});
const readable = (name: string, apiKey: string): Manifest =>
  labelled(secret(name, { apiKey }), { "sluice.dev/readable": "true" });
const callerKey = (name: string, clear: string, spec: Record<string, unknown>): Manifest[] =>
  key(name, clear, spec).map((manifest) =>
    manifest.kind === "Secret" ? labelled(manifest, { "sluice.dev/writable": "true" }) : manifest,
  );

export const busyManifests = (upstream: string, failing: string): Manifest[] => [
  provider("main", upstream, { ...priced, quota: { requestsPerMinute: 100_000 } }),
  readable("main-credentials", "sk-upstream"),
  provider("failing", failing, { ...priced, circuitBreaker: { failureThreshold: 3, openFor: "1h" } }),
  readable("failing-credentials", "sk-failing"),
  // Its breaker never opens, so that failures go on.
  provider("faulty", failing, { ...priced, circuitBreaker: { failureThreshold: 1000 } }),
  readable("faulty-credentials", "sk-failing"),
  provider("unpriced", upstream, { models: [{ name: "house" }] }),
  readable("unpriced-credentials", "sk-upstream"),
  policy("chat", {
    match: { models: ["chat"] },
    routing: to("failing", "main"),
  }),
  policy("faulty", {
    match: { models: ["faulty"] },
    routing: to("faulty", "main"),
    limits: [{ per: "Route", requests: 1_000, window: "1h" }],
  }),
  policy("cached", { match: { models: ["cached"] }, routing: to("main"), cache: { ttl: "1h", scope: "Namespace" } }),
  policy("masked", { match: { models: ["masked"] }, routing: to("main"), guard: { mask: {} } }),
  policy("logged", {
    match: { models: ["logged"] },
    routing: to("main"),
    logging: { payloads: true },
  }),
  provider("next", upstream, priced),
  readable("next-credentials", "sk-next"),
  policy("shadowed", { match: { models: ["shadowed"] }, routing: { ...to("main"), shadow: copiedTo("next") } }),
  // Its breaker is open, so there is nothing to copy to.
  policy("copied-nowhere", {
    match: { models: ["copied-nowhere"] },
    routing: { ...to("main"), shadow: copiedTo("failing") },
  }),
  policy("house", { match: { models: ["house"] }, routing: { targets: [{ provider: { name: "unpriced" } }] } }),
  ...callerKey("busy", busyKey, { team: "search", tags: ["prod"] }),
  ...callerKey("poor", poorKey, { team: "interns", limits: [{ requests: 1, window: "1d" }] }),
  ...callerKey("tight", tightKey, { team: "interns" }),
  { kind: "Budget", metadata: { name: "team" }, spec: { period: "Monthly", amount: "100.00", enforcement: "Soft" } },
  {
    kind: "Budget",
    metadata: { name: "tight" },
    spec: { period: "Daily", amount: "0.000001", scope: { apiKeys: ["tight"] } },
  },
];

/** Makes one round of calls, which has an answer of every kind. */
export async function busyRound(url: string): Promise<void> {
  const call = async (model: string, content: string, token = busyKey, stream = false): Promise<void> => {
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "x-session-id": "s-1" },
      body: JSON.stringify({ model, stream, messages: [{ role: "user", content }] }),
    });
    await answer.text();
  };
  await call("chat", "hello");
  await call("chat", "hello", busyKey, true);
  await call("faulty", "hello");
  await call("cached", "the same question");
  await call("cached", "the same question");
  await call("masked", "write to ann@example.com");
  await call("house", "hello");
  await call("shadowed", "hello");
  await call("copied-nowhere", "hello");
  await call("masked", "hello", poorKey);
  await call("masked", "hello", poorKey);
  await call("masked", "hello", tightKey);
  await call("masked", "hello", "sk-nobody-0123456789abcdefghijklmnopqrstuvwxyz");
  await call("nothing-like-it", "hello");
}

export interface BusyUpstreams {
  readonly working: Upstream;
  readonly failing: Upstream;
  close(): Promise<void>;
}

export async function startBusyUpstreams(): Promise<BusyUpstreams> {
  const working = await startUpstream(openai);
  const failing = await startUpstream((_request, response) => json(response, 500, { error: { message: "down" } }));
  return {
    working,
    failing,
    async close() {
      await working.close();
      await failing.close();
    },
  };
}

export interface BusyRun {
  gateway: TestGateway;
  upstreams: BusyUpstreams;
  /** One more round of every kind of call. */
  round(): Promise<void>;
  close(): Promise<void>;
}

export async function startBusyRun(
  flags: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<BusyRun> {
  const upstreams = await startBusyUpstreams();
  const gateway = await startGateway(
    busyManifests(upstreams.working.url, upstreams.failing.url),
    ["--metrics-labels=user,team", ...flags],
    env,
  );
  return {
    gateway,
    upstreams,
    round: () => busyRound(gateway.url),
    async close() {
      await gateway.close();
      await upstreams.close();
    },
  };
}
