/** The logged size of a stream that did not complete. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { pausedStream, startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_sent_bytes_00001";

describe("the bytes of an interrupted stream", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  before(async () => {
    const { begun } = pausedStream("gpt-4o", ["Grüße 🎉 日本"]);
    upstream = await startUpstream(
      (_request, response) => void response.writeHead(200, { "content-type": "text/event-stream" }).end(begun),
    );
    gateway = await startGateway([
      provider("up", upstream.url),
      secret("up-credentials", { apiKey: "sk-upstream" }),
      policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  for (const [name, path] of [
    ["passed through", "/v1/chat/completions"],
    ["translated", "/v1/messages"],
  ] as const)
    it(`are counted as the client received them, ${name}`, async () => {
      const answer = await fetch(`${gateway.url}${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
        body: JSON.stringify({
          model: "gpt-4o",
          stream: true,
          max_tokens: 10,
          messages: [{ role: "user", content: "Hi" }],
        }),
      });
      const got = Buffer.from(await answer.arrayBuffer());
      assert.match(got.toString("utf8"), /Grüße 🎉 日本/);
      const id = answer.headers.get("x-request-id");
      const line = await eventually(() =>
        gateway.logs.find((log) => log["msg"] === "call" && log["request_id"] === id),
      );
      assert.deepEqual([line["outcome"], line["sent_bytes"]], ["stream_error", got.length]);
    });
});
