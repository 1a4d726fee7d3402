import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually, key, policy, provider, secret, startGateway } from "../harness/gateway.ts";
import { pausedStream, startUpstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001";

async function begin(drainMs: number) {
  const upstream = await startUpstream();
  const gateway = await startGateway(
    [
      provider("up", upstream.url),
      secret("up-credentials", { apiKey: "sk-upstream" }),
      policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      ...key("alice", clear),
    ],
    ["--drain-ms", String(drainMs)],
  );
  const paused = pausedStream("gpt-4o", ["one", "two"]);
  upstream.answer(paused.answer);
  const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "gpt-4o", stream: true, messages: [{ role: "user", content: "Hi" }] }),
  });
  return { upstream, gateway, answer, release: paused.finish };
}

describe("a drain", () => {
  it("makes the proxy unready immediately and lets a running stream finish", async () => {
    const { upstream, gateway, answer, release } = await begin(20_000);
    const closing = gateway.close();
    await eventually(async () => (await fetch(`${gateway.statusUrl}/readyz`)).status === 503);
    release();
    assert.match(await answer.text(), /"content":"two"[\s\S]*data: \[DONE\]\n\n$/);
    await closing;
    await upstream.close();
  });

  it("ends a stream that outlasts it with an error event, and without [DONE]", async () => {
    const { upstream, gateway, answer, release } = await begin(50);
    const closing = gateway.close();
    const text = await answer.text();
    assert.match(text, /"code":"draining"/);
    assert.doesNotMatch(text, /\[DONE\]/);
    await closing;
    release();
    await upstream.close();
  });
});
