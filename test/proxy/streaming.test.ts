/** How a stream is written to the client: every byte, in the framing of its HTTP version. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, before, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { raw } from "../harness/raw-http.ts";
import { chatFrames, startUpstream, type Upstream } from "../harness/upstream.ts";

const alice = "slc_streaming_alice_0001";
const body = JSON.stringify({ model: "gpt-4o", stream: true, messages: [{ role: "user", content: "Hi" }] });
/** Sizes around those at which a chunk is written differently, with characters of one to four bytes. */
const words = ["a", "é".repeat(4_096), "中".repeat(3_000), "🌊".repeat(20_000), "z".repeat(7_990), "z".repeat(9_000)];

/** Bodies of the chunked answers on one connection, in order. */
function bodiesOf(text: string): string[] {
  const bodies: string[] = [];
  for (let at = text.indexOf("\r\n\r\n"); at >= 0; at = text.indexOf("\r\n\r\n", at)) {
    let body = "";
    at += 4;
    for (let size = -1; size !== 0; ) {
      const lineEnd = text.indexOf("\r\n", at);
      size = Number.parseInt(text.slice(at, lineEnd), 16);
      body += text.slice(lineEnd + 2, lineEnd + 2 + size);
      at = lineEnd + 2 + size + 2;
    }
    bodies.push(body);
  }
  return bodies;
}

describe("a stream", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  /** Resolves once the second of two calls has been answered. */
  let firstMayEnd: PromiseWithResolvers<void> | null = null;
  let begun = 0;

  before(async () => {
    upstream = await startUpstream(async (request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const first = begun++ === 0;
      for (const frame of chatFrames(request.json["model"], words, true)) {
        response.write(frame);
        await new Promise((resolve) => setImmediate(resolve));
        if (first) await firstMayEnd?.promise;
      }
      response.end();
      if (!first) firstMayEnd?.resolve();
    });
    gateway = await startGateway([
      provider("up", upstream.url, { type: "OpenAI" }),
      secret("up-credentials", { apiKey: "sk" }),
      policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      ...key("alice", alice),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  it("arrives byte for byte, whatever the sizes of its chunks", async () => {
    const headers = { authorization: `Bearer ${alice}`, "content-type": "application/json" };
    const response = await fetch(`${gateway.url}/v1/chat/completions`, { method: "POST", headers, body });
    const text = await response.text();
    assert.ok(
      text === chatFrames("gpt-4o", words, false).join(""),
      `${response.status}, ${text.length} characters that begin ${text.slice(0, 200)}`,
    );
  });

  for (const [version, chunked] of [
    ["1.1", true],
    ["1.0", false],
  ] as const) {
    it(`is ${chunked ? "" : "not "}chunked in HTTP/${version}`, async () => {
      const headers = `Host: sluice\r\nConnection: close\r\nauthorization: Bearer ${alice}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}`;
      const { text, closed } = await raw(
        gateway.url,
        `POST /v1/chat/completions HTTP/${version}\r\n${headers}\r\n\r\n${body}`,
        { quietMs: 5_000 },
      );
      const end = text.indexOf("\r\n\r\n");
      assert.equal(/^transfer-encoding: chunked\r?$/im.test(text.slice(0, end)), chunked, text.slice(0, end));
      assert.ok(closed);
      assert.ok(text.endsWith(chunked ? "\r\n0\r\n\r\n" : "data: [DONE]\n\n"), text.slice(-60));
      assert.equal(text.startsWith("data: ", end + 4), !chunked);
    });
  }

  it("waits as a whole for an earlier answer on its connection", async () => {
    firstMayEnd = Promise.withResolvers();
    begun = 0;
    const headers = `Host: sluice\r\nauthorization: Bearer ${alice}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}`;
    const request = `POST /v1/chat/completions HTTP/1.1\r\n${headers}\r\n\r\n${body}`;
    const { text } = await raw(gateway.url, request + request, { answers: 2, quietMs: 300 });
    firstMayEnd = null;
    const whole = Buffer.from(chatFrames("gpt-4o", words, false).join("")).toString("latin1");
    const bodies = bodiesOf(text);
    assert.equal(bodies.length, 2);
    for (const body of bodies) assert.ok(body === whole, `${body.length} of ${whole.length} bytes`);
  });
});
