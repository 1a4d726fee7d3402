/** Compressed answers are read, within the bounds of what they inflate to; large events pass within the bound of whole answers. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { type Answer, chatFrames, openai, startUpstream, type Upstream } from "../../harness/upstream.ts";

const clear = "slc_alice_key_0001";
const whole = JSON.stringify({
  id: "c",
  choices: [{ index: 0, message: { role: "assistant", content: "Hello there" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 1, completion_tokens: 2 },
});
const stream = chatFrames("gpt-4o", ["Hello", " there"], true).join("");

const encodings: Record<string, [header: string, encode: (text: string) => Buffer]> = {
  gzip: ["gzip", (text) => gzipSync(text)],
  "x-gzip": ["x-gzip", (text) => gzipSync(text)],
  brotli: ["br", (text) => brotliCompressSync(text)],
  deflate: ["deflate", (text) => deflateSync(text)],
  "bare deflate": ["Deflate", (text) => deflateRawSync(text)],
  zstd: ["zstd", (text) => zstdCompressSync(text)],
  "gzip within brotli": ["gzip, br", (text) => brotliCompressSync(gzipSync(text))],
};

describe("a provider that compresses unasked", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  before(async () => {
    upstream = await startUpstream(openai);
    gateway = await startGateway(
      [
        provider("up", upstream.url, { circuitBreaker: { failureThreshold: 1000 } }),
        provider("claude", upstream.url, { type: "Anthropic", endpoint: upstream.url, models: [{ name: "claude" }] }),
        secret("up-credentials", { apiKey: "sk-up" }),
        secret("claude-credentials", { apiKey: "sk-up" }),
        policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
        policy("claude", { match: { models: ["claude"] }, routing: { targets: [{ provider: { name: "claude" } }] } }),
        ...key("alice", clear),
      ],
      ["--max-reply-bytes", "3000000", "--max-stream-bytes", "6000000"],
    );
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  const ask = async (streams: boolean, path = "chat/completions", more: object = {}): Promise<[number, string]> => {
    const answer = await fetch(`${gateway.url}/v1/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({
        model: "gpt-4o",
        stream: streams,
        messages: [{ role: "user", content: "Hi" }],
        max_tokens: 9,
        ...more,
      }),
    });
    return [answer.status, await answer.text()];
  };
  const encoded =
    (header: string, bytes: Buffer, streams: boolean, status = 200): Answer =>
    (_request, response) => {
      response.writeHead(status, {
        "content-type": streams ? "text/event-stream" : "application/json",
        "content-encoding": header,
        "content-length": bytes.length,
      });
      // In two pieces, as networks cut them.
      response.write(bytes.subarray(0, bytes.length >> 1));
      setImmediate(() => response.end(bytes.subarray(bytes.length >> 1)));
    };

  it("is asked not to", async () => {
    upstream.answer(openai);
    await ask(false);
    assert.equal(upstream.requests.at(-1)?.headers["accept-encoding"], "identity");
  });

  for (const [name, [header, encode]] of Object.entries(encodings)) {
    it(`by ${name} is read, whole, streamed, translated, and in its errors`, async () => {
      upstream.answer(encoded(header, encode(whole), false));
      assert.deepEqual(await ask(false), [200, whole]);
      const [status, text] = await ask(false, "messages");
      assert.deepEqual([status, /Hello there/.test(text)], [200, true], text);
      upstream.answer(encoded(header, encode(stream), true));
      const [, streamed] = await ask(true);
      assert.match(streamed, /"content":"Hello"[\s\S]*data: \[DONE\]\n\n$/);
      upstream.answer(encoded(header, encode('{"error":{"message":"no such thing","code":"bad_thing"}}'), false, 400));
      const [refused, words] = await ask(false);
      assert.deepEqual([refused, /no such thing/.test(words)], [400, true], words);
    });
  }

  it("by something unknown, or wrongly, is a failure of the provider", async () => {
    for (const [header, bytes] of [
      ["compress", Buffer.from(whole)],
      ["gzip", Buffer.from(whole)],
      ["gzip", gzipSync(whole).subarray(0, 40)],
      ["gzip, gzip, gzip", gzipSync(gzipSync(gzipSync(whole)))],
    ] as const) {
      upstream.answer(encoded(header, bytes, false));
      const [status, text] = await ask(false);
      assert.deepEqual([status, /upstream_invalid_response/.test(text)], [502, true], `${header}: ${text}`);
    }
  });

  it("can't make the gateway inflate more than it takes", async () => {
    upstream.answer(encoded("gzip", gzipSync(`{"x":"${"0".repeat(200_000_000)}"}`), false));
    const [status, text] = await ask(false);
    assert.deepEqual([status, /larger than the gateway accepts/.test(text)], [502, true], text.slice(0, 200));
    upstream.answer(encoded("gzip", gzipSync("0".repeat(200_000_000)), false, 500));
    assert.equal((await ask(false))[0], 502);
  });

  describe("and large events of a stream", () => {
    const image = (bytes: number): string => "A".repeat(bytes);
    const event = (type: string, more: object): string =>
      `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
    const responses = (bytes: number): string =>
      event("response.created", { response: { id: "r" } }) +
      event("response.image_generation_call.partial_image", { partial_image_b64: image(bytes) }) +
      event("response.completed", {
        response: { id: "r", status: "completed", output: [{ type: "image_generation_call" }] },
      });
    const sse =
      (text: string): Answer =>
      (_request, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.end(text);
      };

    it("pass up to the size of a whole answer, untouched but for the sealed id", async () => {
      upstream.answer(sse(responses(2_000_000)));
      const [status, text] = await ask(true, "responses", { input: "Hi", messages: undefined, max_tokens: undefined });
      assert.equal(status, 200);
      const unsealed = text.replaceAll(/"id":"r_[\w-]+"/g, '"id":"r"');
      assert.ok(unsealed === responses(2_000_000), `${text.length} bytes`);
    });
    it("pass translated", async () => {
      const words = image(2_000_000);
      upstream.answer(sse(chatFrames("gpt-4o", [words], true).join("")));
      const [status, text] = await ask(true, "messages");
      assert.equal(status, 200);
      assert.ok(text.includes(words));
    });
    it("end a stream beyond it, and say nothing of the provider", async () => {
      upstream.answer(sse(responses(3_500_000)));
      const [, text] = await ask(true, "responses", { input: "Hi", messages: undefined, max_tokens: undefined });
      assert.match(text, /event of more than 3000000 bytes/);
    });
  });
});
