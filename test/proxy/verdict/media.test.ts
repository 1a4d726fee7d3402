/**
 * A failure inside a 200 in place of images, speech, words, vectors and ranks: another target answers, and the failure is
 * counted as one.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, before, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { type Answer, json, openai, startUpstream, type Upstream } from "../../harness/upstream.ts";

const clear = "slc_media_alice_0000001";
const error = JSON.stringify({ error: { message: "engine overloaded", code: 503 } });
const vtt = "WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n";
const srt = "1\n00:00:00,000 --> 00:00:01,000\nHello\n";

const sent =
  (body: string | Buffer, type: string, pieces = 1): Answer =>
  async (_request, response) => {
    response.writeHead(200, { "content-type": type });
    const bytes = Buffer.from(body);
    const length = Math.max(1, Math.ceil(bytes.length / pieces));
    for (let start = 0; start < bytes.length; start += length) {
      response.write(bytes.subarray(start, start + length));
      await new Promise((resolve) => setImmediate(resolve));
    }
    response.end();
  };

const faults: Record<string, Answer> = {
  "an error": sent(error, "application/json"),
  "an empty object": sent("{}", "application/json"),
  "an error without an envelope": sent('{"detail":"no worker"}', "application/json"),
  "a page": sent("<!DOCTYPE html><html>down</html>", "text/html"),
  "a page as text": sent("<html>down</html>", "text/plain"),
  "an error as text": sent(error, "text/plain"),
  "an error as a file": sent(error, "audio/mpeg"),
  "an error as a file, in pieces": sent(`\n ${error}`, "audio/mpeg", 9),
  "an error as bytes": sent(error, "application/octet-stream"),
  "a page as a file": sent("<html>down</html>", "audio/mpeg"),
  "an error as XML": sent("<?xml version='1.0'?><Error/>", "application/xml"),
  "an event of an error": sent(`event: error\ndata: ${error}\n\n`, "text/event-stream"),
  "the end of a stream": sent("data: [DONE]\n\n", "text/event-stream"),
};

const form = (fields: Record<string, string>) => (): FormData => {
  const body = new FormData();
  for (const [name, value] of Object.entries({ model: "m", ...fields })) body.set(name, value);
  body.set("file", new Blob(["RIFF"]), "a.wav");
  return body;
};
const body = (members: object) => (): string => JSON.stringify({ model: "m", ...members });

const events = (...pairs: [string, object][]): Answer =>
  sent(
    pairs.map(([type, data]) => `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`).join(""),
    "text/event-stream",
  );

/** Surface → path, request, and a good answer. */
const surfaces: Record<string, [path: string, request: () => string | FormData, good: Answer]> = {
  vectors: ["embeddings", body({ input: "Hi" }), openai],
  images: [
    "images/generations",
    body({ prompt: "Hi" }),
    (_, response) => json(response, 200, { data: [{ b64_json: "aGk=" }] }),
  ],
  "a stream of images": [
    "images/generations",
    body({ prompt: "Hi", stream: true }),
    events(["image_generation.completed", { b64_json: "aGk=" }]),
  ],
  speech: ["audio/speech", body({ input: "Hi", voice: "alloy" }), sent("ID3 speech", "audio/mpeg")],
  "a stream of speech": [
    "audio/speech",
    body({ input: "Hi", voice: "alloy", stream_format: "sse" }),
    events(
      ["speech.audio.delta", { audio: "aGk=" }],
      ["speech.audio.done", { usage: { input_tokens: 1, output_tokens: 1 } }],
    ),
  ],
  words: ["audio/transcriptions", form({}), (_, response) => json(response, 200, { text: "Hello" })],
  subtitles: ["audio/transcriptions", form({ response_format: "srt" }), sent(srt, "text/plain")],
  "translated words as text": ["audio/translations", form({ response_format: "text" }), sent("Hello", "text/plain")],
  judgements: [
    "moderations",
    body({ input: "Hi" }),
    (_, response) => json(response, 200, { results: [{ flagged: false }] }),
  ],
  ranks: [
    "rerank",
    body({ query: "Hi", documents: ["a"] }),
    (_, response) => json(response, 200, { results: [{ index: 0 }] }),
  ],
};

describe("a failure inside a 200", () => {
  let bad: Upstream;
  let good: Upstream;
  let gateway: TestGateway;

  before(async () => {
    [bad, good] = await Promise.all([startUpstream(), startUpstream()]);
    const spec = {
      options: { surfaces: "Images,Speech,Transcriptions,Translations,Moderations,Rerank" },
      models: [{ name: "m" }],
      circuitBreaker: { failureThreshold: 1000 },
    };
    gateway = await startGateway([
      provider("bad", bad.url, spec),
      provider("good", good.url, spec),
      ...["bad", "good"].map((name) => secret(`${name}-credentials`, { apiKey: "sk" })),
      policy("m", {
        match: { models: ["m"] },
        routing: { targets: [{ provider: { name: "bad" } }, { provider: { name: "good" } }] },
      }),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway?.close();
    await bad.close();
    await good.close();
  });

  const ask = async (path: string, request: string | FormData): Promise<{ via: string | null; bytes: Buffer }> => {
    const type: Record<string, string> = typeof request === "string" ? { "content-type": "application/json" } : {};
    const answer = await fetch(`${gateway.url}/v1/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, ...type },
      body: request,
    });
    return { via: answer.headers.get("x-provider-used"), bytes: Buffer.from(await answer.arrayBuffer()) };
  };

  for (const [surface, [path, request, answer]] of Object.entries(surfaces))
    it(`in place of ${surface} is one, whatever its form`, async () => {
      good.answer(answer);
      for (const [what, fault] of Object.entries(faults)) {
        bad.answer(fault);
        const { via, bytes } = await ask(path, request());
        assert.equal(via, "good", `${what}: ${bytes.toString("utf8").slice(0, 200)}`);
      }
      bad.answer(answer);
      assert.equal((await ask(path, request())).via, "bad");
    });

  for (const [format, text, isAnswer] of [
    ["text", "", true],
    ["text", "\n", true],
    ["srt", srt, true],
    ["srt", "", true],
    ["srt", "\n", true],
    ["srt", "no worker", false],
    ["vtt", vtt, true],
    ["vtt", "WEBVTT\n\n", true],
    ["vtt", "", false],
    ["vtt", "\n", false],
    ["vtt", "no worker", false],
    ["vtt", srt, false],
  ] as const)
    it(`is ${isAnswer ? "not " : ""}seen in ${JSON.stringify(text)} where ${format} was asked for`, async () => {
      good.answer(sent(format === "vtt" ? vtt : srt, "text/plain"));
      bad.answer(sent(text, "text/plain"));
      const { via, bytes } = await ask("audio/transcriptions", form({ response_format: format })());
      assert.equal(via, isAnswer ? "bad" : "good");
      if (isAnswer) assert.equal(bytes.toString("utf8"), text);
    });

  it("is not seen in a file that only begins like one", async () => {
    for (const start of ["{", "  {\n", "<", "<html"])
      for (const rest of [Buffer.from([0, 1, 255, 3]), Buffer.alloc(70_000, " "), Buffer.from("RIFF")]) {
        const file = Buffer.concat([Buffer.from(start), rest]);
        if (start === "<html" && rest.length === 4 && rest[0] === 82) continue;
        bad.answer(sent(file, "audio/pcm", 3));
        const { via, bytes } = await ask("audio/speech", body({ input: "Hi", voice: "alloy" })());
        assert.deepEqual([via, bytes.equals(file)], ["bad", true], `${start} ${rest.length}`);
      }
  });
});
