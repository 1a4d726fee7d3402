/** Providers that are several servers: which one a call reaches, what failures do, and when calls overflow. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const alice = "slc_pools_alice_0000001";

describe("a pool", () => {
  let servers: Upstream[];
  let cloud: Upstream;
  let gateway: TestGateway;
  const addressOf = ({ url }: Upstream): string => new URL(url).host;

  const manifests = (pool: Record<string, unknown>, more: Record<string, unknown> = {}) => [
    provider("gpus", servers[0]?.url ?? "", {
      pool: { addresses: servers.map(addressOf), ...pool },
      models: [{ name: "m" }],
      retry: { attempts: 3, initialDelay: "1ms" },
      circuitBreaker: { failureThreshold: 1000 },
      ...more,
    }),
    provider("cloud", cloud.url, { models: [{ name: "m" }] }),
    ...["gpus", "cloud"].map((name) => secret(`${name}-credentials`, { apiKey: "sk-1" })),
    policy("all", {
      match: { models: ["m"] },
      routing: { targets: [{ provider: { name: "gpus" } }, { provider: { name: "cloud" }, priority: 2 }] },
    }),
    ...key("alice", alice),
  ];
  const ask = (messages: object[], headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${alice}`, "content-type": "application/json", ...headers },
      body: JSON.stringify({ model: "m", messages }),
    });
  const say = (content: string, headers?: Record<string, string>) => ask([{ role: "user", content }], headers);
  const counts = (): number[] => servers.map(({ requests }) => requests.length);

  before(async () => {
    servers = await Promise.all([startUpstream(openai), startUpstream(openai), startUpstream(openai)]);
    cloud = await startUpstream(openai);
    gateway = await startGateway(manifests({}));
  });
  beforeEach(() => {
    for (const upstream of [...servers, cloud]) {
      upstream.requests.length = 0;
      upstream.answer(openai);
    }
  });
  after(async () => {
    await gateway.close();
    for (const upstream of [...servers, cloud]) await upstream.close();
  });

  it("spreads calls over its servers, which get the endpoint's path", async () => {
    for (let call = 0; call < 9; call++) assert.equal((await say("Hi")).status, 200);
    assert.deepEqual(counts(), [3, 3, 3]);
    assert.equal(servers[1]?.requests[0]?.path, "/v1/chat/completions");
  });

  it("keeps the turns of a conversation at one server, and a session", async () => {
    await gateway.apply(manifests({ strategy: "Prefix" }));
    const system = { role: "system", content: "You are brief. ".repeat(200) };
    for (const opening of ["a", "b", "c", "d", "e", "f"]) {
      for (const upstream of servers) upstream.requests.length = 0;
      const turns: object[] = [system, { role: "user", content: opening }];
      for (let turn = 0; turn < 3; turn++) {
        await ask(turns);
        turns.push({ role: "assistant", content: "yes" }, { role: "user", content: `more ${turn}` });
      }
      assert.deepEqual(counts().sort(), [0, 0, 3], opening);
    }
    for (const upstream of servers) upstream.requests.length = 0;
    const used = new Set<number>();
    for (let index = 0; index < 24; index++) {
      await say(`Hi ${index}`);
      used.add(counts().findIndex((count) => count > 0));
      for (const upstream of servers) upstream.requests.length = 0;
    }
    assert.equal(used.size, 3, "conversations are spread over all servers");
  });

  it("asks another server when one fails, and that one last for a while", async () => {
    await gateway.apply(manifests({}, { timeouts: { connect: "1s" } }));
    servers[0]?.answer((_request, response) => void response.destroy());
    for (let call = 0; call < 12; call++) assert.equal((await say("Hi")).status, 200);
    assert.equal(counts()[0], 1, "after the first failure the others are asked");
    assert.equal(cloud.requests.length, 0);
    const status = (await gateway.status()) as {
      providers: { id: string; pods: { pod: string; spared: boolean }[] }[];
    };
    const pods = status.providers.find(({ id }) => id === "default/gpus")?.pods ?? [];
    assert.deepEqual(
      pods.filter(({ spared }) => spared).map(({ pod }) => pod),
      [addressOf(servers[0] as Upstream)],
    );
  });

  it("overflows to the next target when each server has as many calls as it may", async () => {
    await gateway.apply(manifests({ maxInFlight: 1 }));
    const held: (() => void)[] = [];
    for (const upstream of servers)
      upstream.answer((_request, response) => {
        held.push(() =>
          json(response, 200, {
            id: "x",
            object: "chat.completion",
            created: 1,
            model: "m",
            choices: [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }],
            usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
          }),
        );
      });
    const waiting = Array.from({ length: 3 }, () => say("Hi"));
    await eventually(() => held.length === 3);
    const overflown = await say("Hi");
    assert.deepEqual(
      [overflown.status, overflown.headers.get("x-provider-used"), cloud.requests.length],
      [200, "cloud", 1],
    );
    for (const answer of held) answer();
    for (const answer of await Promise.all(waiting)) assert.equal(answer.headers.get("x-provider-used"), "gpus");
    await eventually(async () => {
      for (const upstream of servers) upstream.answer(openai);
      return (await say("Hi")).headers.get("x-provider-used") === "gpus";
    });
  });
});
