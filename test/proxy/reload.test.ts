import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { key, type Manifest, policy, provider, secret, startGateway } from "../harness/gateway.ts";
import { startUpstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001";
const callers = 200;
const changes = 50;

async function call(url: string, stream: boolean): Promise<string | null> {
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "gpt-4o", stream, messages: [{ role: "user", content: "Hi" }] }),
  });
  const text = await answer.text();
  const whole = stream
    ? text.endsWith("data: [DONE]\n\n") && !text.includes('"error"')
    : text.includes('"Hello there"');
  return answer.status === 200 && whole ? null : `${answer.status} ${text.slice(0, 300)}`;
}

describe("hot reload under load", () => {
  it("fails no request while policies change 50 times and a broken object is applied", async () => {
    const upstream = await startUpstream();
    const base: Manifest[] = [
      provider("up", upstream.url),
      secret("up-credentials", { apiKey: "sk-upstream" }),
      ...key("alice", clear),
    ];
    const version = (at: number): Manifest[] => [
      ...base,
      policy("chat", {
        match: { models: ["gpt-4o", `extra-${at}`] },
        request: { defaults: { temperature: (at % 10) / 10 } },
        routing: { targets: [{ provider: { name: "up" }, model: "gpt-4o" }] },
      }),
    ];
    const gateway = await startGateway(version(0));
    let running = true;
    const problems: string[] = [];
    let calls = 0;
    const caller = async (at: number): Promise<void> => {
      while (running) {
        const problem = await call(gateway.url, at % 2 === 0);
        calls++;
        if (problem !== null) problems.push(problem);
      }
    };
    const load = Promise.all(Array.from({ length: callers }, (_, at) => caller(at)));
    try {
      const revisions = new Set<unknown>();
      for (let at = 1; at <= changes; at++) {
        if (at === changes / 2)
          await gateway.apply([...version(at - 1), policy("chat-2", { match: { models: [] }, routing: {} })]);
        await gateway.apply(version(at));
        revisions.add((await gateway.status())["revision"]);
      }
      assert.equal(revisions.size, changes);
      assert.ok(gateway.printed.some((line) => line.includes("RoutingPolicy default/chat-2")));
    } finally {
      running = false;
      await load;
      await gateway.close();
      await upstream.close();
    }
    assert.deepEqual(problems, []);
    assert.ok(calls >= callers, `${calls} calls`);
  });
});
