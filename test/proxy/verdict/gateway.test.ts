/**
 * Failures inside a 200, as providers send them: another target answers, whatever the caller and the provider speak and
 * whether the bytes pass through or are translated; they are counted as failures, and never cached.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { spelledByEscapes, spelledStream } from "../../harness/spelled.ts";
import { type Answer, json, openai, startUpstream, type Upstream } from "../../harness/upstream.ts";

const clear = "slc_alice_key_0001";
const spelledAnswer = (text: string): string =>
  text.startsWith("{") || text.startsWith("[") ? spelledByEscapes(text) : spelledStream(text);
const overloaded = { message: "engine overloaded", code: 503 };
const sse =
  (...frames: string[]): Answer =>
  (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const frame of frames) response.write(frame);
    response.end();
  };
const body =
  (value: unknown): Answer =>
  (_request, response) =>
    json(response, 200, value);
const raw =
  (text: string, type = "application/json"): Answer =>
  (_request, response) => {
    response.writeHead(200, { "content-type": type });
    response.end(text);
  };
const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
const event = (type: string, more: object = {}): string => `event: ${type}\n${data({ type, ...more })}`;
const done = "data: [DONE]\n\n";
const role = data({ id: "c", choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] });

interface Fault {
  plain: Answer;
  stream: Answer;
}

/** By what the provider speaks. */
const faults: Record<"chat" | "messages" | "responses", Record<string, Fault>> = {
  chat: {
    "an error object": { plain: body({ error: overloaded }), stream: sse(data({ error: overloaded })) },
    "an error behind a comment": {
      plain: body({ error: overloaded }),
      stream: sse(": ping\n\n", data({ error: overloaded })),
    },
    "an error behind the role": {
      plain: body({ error: "overloaded" }),
      stream: sse(role, data({ error: overloaded })),
    },
    "an error by the event's name": {
      plain: raw('{"detail":"no"}'),
      stream: sse('event: error\ndata: {"message":"no"}\n\n'),
    },
    "vLLM's flat error": {
      plain: body({ object: "error", message: "died", type: "InternalServerError", code: 500 }),
      stream: sse(role, data({ object: "error", message: "died", code: 500 }), done),
    },
    "an error without an envelope": {
      plain: body({ message: "worker died" }),
      stream: sse(data({ message: "worker died" }), done),
    },
    nothing: { plain: body({}), stream: sse(done) },
    "no bytes": { plain: raw(""), stream: sse() },
    "no choices": { plain: body({ choices: [] }), stream: sse(data({ choices: [] }), done) },
    "a role alone": { plain: body({ choices: [{ message: { role: "assistant" } }] }), stream: sse(role, done) },
    "a finish of error": {
      plain: body({ choices: [{ index: 0, message: { content: "" }, finish_reason: "error" }] }),
      stream: sse(role, data({ choices: [{ index: 0, delta: { content: "" }, finish_reason: "error" }] }), done),
    },
    HTML: { plain: raw("<html></html>", "text/html"), stream: raw("<html></html>", "text/html") },
    "JSON that breaks off": {
      plain: raw('{"choices":[{"message":{"content":"Hi'),
      stream: sse('data: {"choices":[{"delta":{"cont'),
    },
    "no JSON": { plain: raw("nope"), stream: sse("data: {not json\n\n", done) },
  },
  messages: {
    "an overload behind message_start": {
      plain: body({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } }),
      stream: sse(
        event("message_start", {
          message: {
            id: "m",
            type: "message",
            role: "assistant",
            content: [],
            usage: { input_tokens: 3, output_tokens: 0 },
          },
        }),
        event("ping"),
        event("error", { error: { type: "overloaded_error", message: "Overloaded" } }),
      ),
    },
    "an overload behind an empty block": {
      plain: body({}),
      stream: sse(
        event("message_start", { message: { id: "m" } }),
        event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
        event("error", { error: { type: "overloaded_error", message: "Overloaded" } }),
      ),
    },
    "an end alone": {
      plain: body({ type: "message", content: [] }),
      stream: sse(event("message_start", { message: { id: "m" } }), event("message_stop")),
    },
  },
  responses: {
    "a used-up quota behind response.created": {
      plain: body({ status: "failed", output: [], error: { code: "server_error", message: "x" } }),
      stream: sse(
        event("response.created", { response: { id: "r", status: "in_progress" } }),
        event("response.in_progress", { response: { id: "r", status: "in_progress" } }),
        event("error", { code: "insufficient_quota", message: "You exceeded your current quota", param: null }),
      ),
    },
    "a failed response behind response.created": {
      plain: body({}),
      stream: sse(
        event("response.created", { response: { id: "r", status: "in_progress" } }),
        event("response.failed", {
          response: { id: "r", status: "failed", error: { code: "insufficient_quota", message: "quota" } },
        }),
      ),
    },
    "an empty response": {
      plain: body({ status: "completed", output: [] }),
      stream: sse(event("response.completed", { response: { id: "r", status: "completed", output: [] } })),
    },
  },
};

const goodMessages: Answer = (request, response) => {
  if (request.json["stream"] !== true)
    return json(response, 200, {
      id: "m",
      type: "message",
      role: "assistant",
      content: [{ type: "text", text: "Hello there" }],
      stop_reason: "end_turn",
      usage: { input_tokens: 3, output_tokens: 2 },
    });
  return sse(
    event("message_start", {
      message: {
        id: "m",
        type: "message",
        role: "assistant",
        content: [],
        usage: { input_tokens: 3, output_tokens: 0 },
      },
    }),
    event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
    event("content_block_delta", { index: 0, delta: { type: "text_delta", text: "Hello there" } }),
    event("content_block_stop", { index: 0 }),
    event("message_delta", { delta: { stop_reason: "end_turn" }, usage: { output_tokens: 2 } }),
    event("message_stop"),
  )(request, response);
};
const goodResponses: Answer = (request, response) => {
  const whole = {
    id: "r",
    object: "response",
    status: "completed",
    error: null,
    output: [{ type: "message", content: [{ type: "output_text", text: "Hello there" }] }],
    usage: { input_tokens: 3, output_tokens: 2 },
  };
  if (request.json["stream"] !== true) return json(response, 200, whole);
  return sse(
    event("response.created", { response: { id: "r", status: "in_progress" } }),
    event("response.output_text.delta", { delta: "Hello there" }),
    event("response.completed", { response: whole }),
  )(request, response);
};
const good = { chat: openai, messages: goodMessages, responses: goodResponses };
const types = { chat: "OpenAICompatible", messages: "Anthropic", responses: "OpenAICompatible" };
/** What callers speak to a provider of each kind. */
const callers = {
  chat: ["chat/completions", "messages", "responses"],
  messages: ["messages", "chat/completions", "responses"],
  responses: ["responses"],
} as const;

describe("a failure inside a 200", () => {
  let first: Upstream;
  let second: Upstream;
  let gateway: TestGateway;
  const speaks = ["chat", "messages", "responses"] as const;
  const modelOf = (kind: string, path: string): string => `${kind}-${path.split("/")[0]}`;

  before(async () => {
    first = await startUpstream();
    second = await startUpstream();
    const manifests = speaks.flatMap((kind) => {
      const options = kind === "chat" ? { responses: "Translate" } : undefined;
      const models = callers[kind].map((path) => ({ name: modelOf(kind, path) }));
      const spec = {
        type: types[kind],
        models,
        circuitBreaker: { failureThreshold: 1000 },
        ...(options === undefined ? {} : { options }),
      };
      const base = (url: string): string => (kind === "messages" ? url : `${url}/v1`);
      return [
        provider(`${kind}-first`, first.url, { ...spec, endpoint: base(first.url) }),
        provider(`${kind}-second`, second.url, { ...spec, endpoint: base(second.url) }),
        secret(`${kind}-first-credentials`, { apiKey: "sk-first" }),
        secret(`${kind}-second-credentials`, { apiKey: "sk-second" }),
        policy(kind, {
          match: { models: models.map(({ name }) => name) },
          cache: {},
          routing: {
            targets: [{ provider: { name: `${kind}-first` } }, { provider: { name: `${kind}-second` }, priority: 2 }],
          },
        }),
      ];
    });
    gateway = await startGateway([...manifests, ...key("alice", clear)], ["--log-level", "silent"]);
  });
  after(async () => {
    await gateway.close();
    await first.close();
    await second.close();
  });

  const ask = (kind: string, path: string, stream: boolean, prompt: string): Promise<Response> =>
    fetch(`${gateway.url}/v1/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({
        model: modelOf(kind, path),
        stream,
        max_tokens: path === "responses" ? undefined : 50,
        ...(path === "responses" ? { input: prompt } : { messages: [{ role: "user", content: prompt }] }),
      }),
    });

  /** The same with all names and words spelled by escapes. */
  const spelled =
    (answer: Answer): Answer =>
    (request, response) => {
      const write = response.write.bind(response);
      const end = response.end.bind(response);
      const again = (text: unknown): string => spelledAnswer(String(text ?? ""));
      response.write = ((text: unknown) => write(again(text))) as typeof response.write;
      response.end = ((text?: unknown) => end(text === undefined ? undefined : again(text))) as typeof response.end;
      return answer(request, response);
    };
  const withSpellings = (ofKind: Record<string, Fault>): [string, Fault][] =>
    Object.entries(ofKind).flatMap(([what, { plain, stream }]) => [
      [what, { plain, stream }],
      [`${what}, spelled by escapes,`, { plain: spelled(plain), stream: spelled(stream) }],
    ]);

  let asked = 0;
  for (const kind of speaks) {
    for (const [what, fault] of withSpellings(faults[kind])) {
      for (const path of callers[kind]) {
        for (const stream of [false, true]) {
          it(`${what} of a provider of ${kind}, ${path}, ${stream ? "stream" : "plain"}: another target answers`, async () => {
            first.answer(stream ? fault.stream : fault.plain);
            second.answer(good[kind]);
            const prompt = `question ${asked++}`;
            const answer = await ask(kind, path, stream, prompt);
            const text = await answer.text();
            assert.equal(answer.status, 200, text);
            assert.match(text, /Hello/);
            assert.equal(answer.headers.get("x-provider-used"), `${kind}-second`);
          });
        }
      }
    }
  }

  it("is a failure to the caller where nobody else answers, and is not cached", async () => {
    for (const stream of [false, true]) {
      const fault = faults.chat["an error object"] as Fault;
      first.answer(stream ? fault.stream : fault.plain);
      second.answer(stream ? fault.stream : fault.plain);
      for (const time of ["first", "second"]) {
        const answer = await ask("chat", "chat/completions", stream, "the same question");
        const text = await answer.text();
        assert.deepEqual([answer.status, answer.headers.get("x-sluice-cache")], [503, null], `${time}: ${text}`);
        assert.match(text, /upstream_unavailable/);
      }
    }
  });

  it("counts as one in the metrics", async () => {
    const metrics = await gateway.metrics();
    assert.match(
      metrics,
      /ai_gateway_upstream_attempts_total\{[^}]*provider="default\/chat-first"[^}]*outcome="ServerError"/,
    );
  });
});
