/** A gateway under traffic in which everything happens that metrics, dashboards and alert rules are about. */
import { key, type Manifest, policy, provider, secret, startGateway, type TestGateway } from "./gateway.ts";
import { json, openai, startUpstream } from "./upstream.ts";

export const busyKey = "sk-busy-0123456789abcdefghijklmnopqrstuvwxyz";
const tightKey = "sk-tight-0123456789abcdefghijklmnopqrstuvwxyz";
const poorKey = "sk-poor-0123456789abcdefghijklmnopqrstuvwxyz";

const priced = {
  models: [{ name: "gpt-4o", price: { inputPerMillion: "2.5", outputPerMillion: "10" }, sunset: "2031-01-01" }],
};
const to = (...names: string[]) => ({ targets: names.map((name) => ({ provider: { name }, model: "gpt-4o" })) });

export const busyManifests = (upstream: string, failing: string): Manifest[] => [
  provider("main", upstream, priced),
  secret("main-credentials", { apiKey: "sk-upstream" }),
  provider("failing", failing, { ...priced, circuitBreaker: { failureThreshold: 3, openFor: "1h" } }),
  secret("failing-credentials", { apiKey: "sk-failing" }),
  provider("unpriced", upstream, { models: [{ name: "house" }] }),
  secret("unpriced-credentials", { apiKey: "sk-upstream" }),
  policy("chat", {
    match: { models: ["chat"] },
    routing: to("failing", "main"),
  }),
  policy("cached", { match: { models: ["cached"] }, routing: to("main"), cache: { ttl: "1h", scope: "Namespace" } }),
  policy("masked", { match: { models: ["masked"] }, routing: to("main"), guard: { mask: {} } }),
  policy("house", { match: { models: ["house"] }, routing: { targets: [{ provider: { name: "unpriced" } }] } }),
  ...key("busy", busyKey, { team: "search", tags: ["prod"] }),
  ...key("poor", poorKey, { team: "interns", limits: [{ requests: 1, window: "1d" }] }),
  ...key("tight", tightKey, { team: "interns" }),
  { kind: "Budget", metadata: { name: "team" }, spec: { period: "Monthly", amount: "100.00", enforcement: "Soft" } },
  {
    kind: "Budget",
    metadata: { name: "tight" },
    spec: { period: "Daily", amount: "0.000001", scope: { apiKeys: ["tight"] } },
  },
];

export interface BusyRun {
  gateway: TestGateway;
  /** One more round of every kind of call. */
  round(): Promise<void>;
  close(): Promise<void>;
}

/** Rounds of calls; each has an answer of every kind. */
export async function startBusyRun(flags: readonly string[] = []): Promise<BusyRun> {
  const upstream = await startUpstream(openai);
  const failing = await startUpstream((_request, response) => json(response, 500, { error: { message: "down" } }));
  const gateway = await startGateway(busyManifests(upstream.url, failing.url), [
    "--metrics-labels=user,team",
    ...flags,
  ]);
  const call = async (model: string, content: string, token = busyKey, stream = false): Promise<number> => {
    const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "x-session-id": "s-1" },
      body: JSON.stringify({ model, stream, messages: [{ role: "user", content }] }),
    });
    await answer.text();
    return answer.status;
  };
  return {
    gateway,
    async round() {
      await call("chat", "hello");
      await call("chat", "hello", busyKey, true);
      await call("cached", "the same question");
      await call("cached", "the same question");
      await call("masked", "write to ann@example.com");
      await call("house", "hello");
      await call("masked", "hello", poorKey);
      await call("masked", "hello", poorKey);
      await call("masked", "hello", tightKey);
      await call("masked", "hello", "sk-nobody-0123456789abcdefghijklmnopqrstuvwxyz");
      await call("nothing-like-it", "hello");
    },
    async close() {
      await gateway.close();
      await upstream.close();
      await failing.close();
    },
  };
}
