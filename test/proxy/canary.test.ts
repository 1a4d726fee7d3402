import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually, key, policy, provider, secret, startGateway } from "../harness/gateway.ts";
import { json, openai, startUpstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001";

describe("a canary in a folder", () => {
  it("is rolled back when it fails, restarts when it changes, and is promoted when it succeeds; no caller notices", async () => {
    const old = await startUpstream();
    const tried = await startUpstream((_request, response) => json(response, 500, { error: { message: "not yet" } }));
    const manifests = (percent: number) => [
      provider("old", old.url),
      secret("old-credentials", { apiKey: "sk-old" }),
      provider("new", tried.url, { circuitBreaker: { failureThreshold: 1000, openFor: "100ms" } }),
      secret("new-credentials", { apiKey: "sk-new" }),
      policy("chat", {
        match: { models: ["gpt-4o"] },
        routing: {
          targets: [{ provider: { name: "old" } }, { provider: { name: "new" } }],
          canary: {
            target: "new",
            percent,
            for: "1s",
            minimumRequests: 5,
            succeedWhen: { errorRate: "<1%" },
            rollBackWhen: { errorRate: ">50%" },
          },
        },
      }),
      ...key("alice", clear),
    ];
    const gateway = await startGateway(manifests(60));
    const used = async (): Promise<string | null> => {
      const reply = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] }),
      });
      assert.equal(reply.status, 200, await reply.text());
      return reply.headers.get("x-provider-used");
    };
    const served = async (): Promise<string> =>
      [...new Set(await Promise.all(Array.from({ length: 20 }, used)))].sort().join();
    const said = (what: RegExp) => gateway.printed.some((line) => what.test(line));
    try {
      await eventually(
        async () =>
          (await served()) &&
          said(/^canary of default\/chat: RolledBack: new gets no more traffic: error rate 100% is above 50%/),
      );
      await eventually(async () => {
        const before = tried.requests.length;
        return (await served()) === "old" && tried.requests.length === before;
      });
      tried.answer(openai);
      await gateway.apply(manifests(50));
      await eventually(
        async () => (await served()) && said(/^canary of default\/chat: Promoted: new gets all traffic/),
      );
      await eventually(async () => (await served()) === "new");
    } finally {
      await gateway.close();
      await old.close();
      await tried.close();
    }
  });
});
