/** Every provider behind the gateway, in both SDKs' dialects: a caller sees the same, whichever provider answers. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import { after, before, describe, it } from "node:test";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import fc, { runs } from "../../harness/property.ts";
import { startUpstream, type Upstream, type UpstreamRequest } from "../../harness/upstream.ts";
import { accepted, events } from "./drive.ts";
import { type Json, list, own, type Said, type Wire, words } from "./wire/wire.ts";
import { allWires, variantWires, wires } from "./wire/wires.ts";

const clear = "slc_matrix_key_0001";
const usage = { prompt: 20, cached: 4, completion: 9 };
const hello: Said = { text: 'Grüße 🌍 "q"', usage };
const oneCall: Said = { calls: [{ id: "call00001", name: "weather", args: { city: "Zürich" } }], usage };
const twoCalls: Said = {
  calls: [
    { id: "call00001", name: "weather", args: { city: "Zürich" } },
    { id: "call00002", name: "clock", args: { zone: "Asia/Tokyo" } },
  ],
  usage,
};
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const objectSchema = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};

/** What a caller got, independent of the dialect. */
interface Got {
  text: string;
  calls: { id: string; name: string; args: unknown }[];
  finish: string;
  usage: { prompt: number; cached: number; completion: number };
}

interface Dialect {
  name: string;
  path: string;
  headers: Record<string, string>;
  body(given: { image?: boolean; tools?: boolean; schema?: boolean; results?: boolean }, stream: boolean): Json;
  whole(body: Json): Got;
  stream(text: string): Got | { error: Json };
  code(body: Json): { code: unknown; message: string };
}

const sse = (text: string): { event: string; data: string }[] =>
  text
    .replaceAll("\r\n", "\n")
    .split("\n\n")
    .filter((frame) => /^data:/m.test(frame))
    .map((frame) => ({
      event: /^event: ?(.*)$/m.exec(frame)?.[1] ?? "",
      data: /^data: ?(.*)$/m.exec(frame)?.[1] ?? "",
    }));

const openai: Dialect = {
  name: "OpenAI",
  path: "/v1/chat/completions",
  headers: { authorization: `Bearer ${clear}` },
  body({ image, tools, schema, results }, stream) {
    const parts = [
      { type: "text", text: "What?" },
      { type: "image_url", image_url: { url: `data:image/png;base64,${pixel}` } },
    ];
    const tool = (name: string): Json => ({
      type: "function",
      function: { name, description: "d", parameters: objectSchema },
    });
    const call = (id: string, name: string): Json => ({
      id,
      type: "function",
      function: { name, arguments: '{"city":"Zürich"}' },
    });
    return {
      model: "m",
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: image ? parts : "What?" },
        ...(results
          ? [
              {
                role: "assistant",
                content: null,
                tool_calls: [call("call00001", "weather"), call("call00002", "clock")],
              },
              { role: "tool", tool_call_id: "call00001", content: "sunny" },
              { role: "tool", tool_call_id: "call00002", content: "noon" },
            ]
          : []),
      ],
      ...(tools || results ? { tools: [tool("weather"), tool("clock")], tool_choice: "auto" } : {}),
      ...(schema
        ? {
            response_format: { type: "json_schema", json_schema: { name: "city", schema: objectSchema, strict: true } },
          }
        : {}),
      max_tokens: 100,
      ...(stream ? { stream: true, stream_options: { include_usage: true } } : {}),
    };
  },
  whole(body) {
    const choice = own(list(body["choices"])[0]);
    const message = own(choice["message"]);
    return {
      text: String(message["content"] ?? ""),
      calls: callsOf(list(message["tool_calls"])),
      finish: String(choice["finish_reason"]),
      usage: openaiUsage(body["usage"]),
    };
  },
  stream(text) {
    const frames = sse(text);
    const failed = frames.find((frame) => "error" in own(JSON.parse(frame.data === "[DONE]" ? "{}" : frame.data)));
    if (failed) return { error: own(own(JSON.parse(failed.data))["error"]) };
    assert.equal(frames.at(-1)?.data, "[DONE]");
    const got: Got = { text: "", calls: [], finish: "", usage: { prompt: 0, cached: 0, completion: 0 } };
    const calls: Json[] = [];
    for (const { data } of frames.slice(0, -1)) {
      const chunk = own(JSON.parse(data));
      if (chunk["usage"]) got.usage = openaiUsage(chunk["usage"]);
      const choice = own(list(chunk["choices"])[0]);
      const delta = own(choice["delta"]);
      got.text += String(delta["content"] ?? "");
      if (typeof choice["finish_reason"] === "string") got.finish = choice["finish_reason"];
      for (const call of list(delta["tool_calls"])) {
        const at = Number(call["index"]);
        const known = (calls[at] ??= { id: call["id"], function: { name: "", arguments: "" } });
        const fn = own(known["function"]);
        fn["name"] = String(fn["name"]) + String(own(call["function"])["name"] ?? "");
        fn["arguments"] = String(fn["arguments"]) + String(own(call["function"])["arguments"] ?? "");
      }
    }
    return { ...got, calls: callsOf(calls) };
  },
  code: (body) => ({ code: own(body["error"])["code"], message: String(own(body["error"])["message"]) }),
};

const callsOf = (calls: Json[]): Got["calls"] =>
  calls.map((call) => ({
    id: String(call["id"]),
    name: String(own(call["function"])["name"]),
    args: JSON.parse(String(own(call["function"])["arguments"])) as unknown,
  }));

const openaiUsage = (value: unknown): Got["usage"] => {
  const found = own(value);
  return {
    prompt: Number(found["prompt_tokens"]),
    cached: Number(own(found["prompt_tokens_details"])["cached_tokens"] ?? 0),
    completion: Number(found["completion_tokens"]),
  };
};

const finishes: Readonly<Record<string, string>> = { end_turn: "stop", tool_use: "tool_calls", max_tokens: "length" };

const anthropic: Dialect = {
  name: "Anthropic",
  path: "/v1/messages",
  headers: { "x-api-key": clear, "anthropic-version": "2023-06-01" },
  body({ image, tools, schema, results }, stream) {
    const tool = (name: string): Json => ({ name, description: "d", input_schema: objectSchema });
    const use = (id: string, name: string): Json => ({ type: "tool_use", id, name, input: { city: "Zürich" } });
    const parts = [
      { type: "text", text: "What?" },
      { type: "image", source: { type: "base64", media_type: "image/png", data: pixel } },
    ];
    const result = (id: string, content: string): Json => ({ type: "tool_result", tool_use_id: id, content });
    return {
      model: "m",
      max_tokens: 100,
      system: "Be brief.",
      messages: [
        { role: "user", content: image ? parts : "What?" },
        ...(results
          ? [
              { role: "assistant", content: [use("call00001", "weather"), use("call00002", "clock")] },
              { role: "user", content: [result("call00001", "sunny"), result("call00002", "noon")] },
            ]
          : []),
      ],
      ...(tools || results ? { tools: [tool("weather"), tool("clock")], tool_choice: { type: "auto" } } : {}),
      ...(schema ? { output_config: { format: { type: "json_schema", schema: objectSchema } } } : {}),
      ...(stream ? { stream: true } : {}),
    };
  },
  whole(body) {
    const blocks = list(body["content"]);
    return {
      text: words(blocks.filter((block) => block["type"] === "text")),
      calls: blocks
        .filter((block) => block["type"] === "tool_use")
        .map((block) => ({ id: String(block["id"]), name: String(block["name"]), args: block["input"] })),
      finish: finishes[String(body["stop_reason"])] ?? String(body["stop_reason"]),
      usage: anthropicUsage(own(body["usage"])),
    };
  },
  stream(text) {
    const frames = sse(text).map(({ data }) => own(JSON.parse(data)));
    const failed = frames.find((frame) => frame["type"] === "error");
    if (failed) return { error: own(failed["error"]) };
    assert.equal(frames.at(-1)?.["type"], "message_stop");
    const blocks: Json[] = [];
    let total: Json = {};
    let stop = "";
    for (const frame of frames) {
      const delta = own(frame["delta"]);
      const block = blocks[Number(frame["index"])];
      if (frame["type"] === "message_start") total = own(own(frame["message"])["usage"]);
      if (frame["type"] === "content_block_start")
        blocks[Number(frame["index"])] = { ...own(frame["content_block"]), json: "" };
      if (block && delta["type"] === "text_delta") block["text"] = String(block["text"]) + String(delta["text"]);
      if (block && delta["type"] === "input_json_delta")
        block["json"] = String(block["json"]) + String(delta["partial_json"]);
      if (frame["type"] === "message_delta") {
        stop = String(delta["stop_reason"]);
        total = { ...total, ...own(frame["usage"]) };
      }
    }
    const content = blocks.map((block) =>
      block["type"] === "tool_use" ? { ...block, input: JSON.parse(String(block["json"]) || "{}") as unknown } : block,
    );
    return anthropic.whole({ content, stop_reason: stop, usage: total });
  },
  code: (body) => ({
    code: own(body["error"])["code"] ?? own(body["error"])["type"],
    message: String(own(body["error"])["message"]),
  }),
};

const anthropicUsage = (found: Json): Got["usage"] => {
  const cached = Number(found["cache_read_input_tokens"] ?? 0);
  return {
    prompt: Number(found["input_tokens"]) + cached + Number(found["cache_creation_input_tokens"] ?? 0),
    cached,
    completion: Number(found["output_tokens"]),
  };
};

const expected = (said: Said): Got => ({
  text: said.text ?? "",
  calls: said.calls ?? [],
  finish: said.calls ? "tool_calls" : "stop",
  usage: said.usage,
});

/** Pieces of an odd size, so that characters and frames are split anywhere. */
async function trickle(response: ServerResponse, bytes: Buffer, size: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += size) {
    response.write(bytes.subarray(at, at + size));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const joined = (frames: readonly (string | Buffer)[]): Buffer =>
  Buffer.concat(frames.map((frame) => Buffer.from(frame as string)));

/** SSE in other valid notations: CRLF, comments, no space after the colon. */
const awkward = (frames: readonly (string | Buffer)[]): Buffer =>
  joined(
    frames.map(
      (frame) => `: keep-alive\r\n\r\n${String(frame).replaceAll("\n", "\r\n").replaceAll("data: ", "data:")}`,
    ),
  );

for (const [wire, dialect] of allWires.flatMap((wire) => [[wire, openai] as const, [wire, anthropic] as const])) {
  describe(`${wire.type} ${wire.variant ?? ""} behind the gateway`, () => {
    let upstream: Upstream;
    let gateway: TestGateway;
    let reply: (request: UpstreamRequest, response: ServerResponse) => void | Promise<void>;

    before(async () => {
      upstream = await startUpstream(async (request, response) => {
        const aside = wire.aside?.(request) ?? null;
        if (aside === null) return reply(request, response);
        upstream.requests.pop();
        response.writeHead(200, { "content-type": "application/json" });
        response.end(JSON.stringify(aside));
      });
      const circuitBreaker = { failureThreshold: 100 };
      const spec = {
        models: [{ name: "m", upstream: wire.upstream ?? "model-1" }],
        type: wire.type,
        circuitBreaker,
        ...wire.spec(upstream.url),
      };
      gateway = await startGateway([
        provider("up", upstream.url, spec),
        secret("up-credentials", wire.secret),
        policy("all", {
          match: { models: ["m"] },
          routing: { targets: [{ provider: { name: "up" } }], fallbackOn: [] },
        }),
        ...key("alice", clear),
      ]);
    });
    after(async () => {
      await gateway.close();
      await upstream.close();
    });

    const say = (said: Said) => (request: UpstreamRequest, response: ServerResponse) => {
      if (!wire.asked(request).stream) {
        response.writeHead(200, { "content-type": "application/json" });
        response.end(JSON.stringify(wire.whole(said)));
        return;
      }
      response.writeHead(200, { "content-type": wire.contentType });
      response.end(joined(wire.frames(said)));
    };

    const send = (given: Parameters<Dialect["body"]>[0], stream: boolean): Promise<Response> =>
      fetch(gateway.url + dialect.path, {
        method: "POST",
        headers: { "content-type": "application/json", ...dialect.headers },
        body: JSON.stringify(dialect.body(given, stream)),
      });
    const got = async (response: Response, stream: boolean): Promise<unknown> => {
      const text = await response.text();
      assert.equal(response.status, 200, text);
      return stream ? dialect.stream(text) : dialect.whole(JSON.parse(text) as Json);
    };
    const asked = () => wire.asked(upstream.requests.at(-1) as UpstreamRequest);

    const cases: [string, Said, Parameters<Dialect["body"]>[0], (seen: ReturnType<Wire["asked"]>) => void][] = [
      ["text", hello, {}, (seen) => assert.deepEqual([seen.system, seen.prompt], ["Be brief.", "What?"])],
      ["a tool call", oneCall, { tools: true }, (seen) => assert.deepEqual(seen.tools, ["weather", "clock"])],
      ["parallel tool calls", twoCalls, { tools: true }, (seen) => assert.deepEqual(seen.tools, ["weather", "clock"])],
      ["text and a tool call", { ...oneCall, text: "Let me see." }, { tools: true }, () => undefined],
      ["tool results", hello, { results: true }, (seen) => assert.deepEqual(seen.toolResults, ["sunny", "noon"])],
      ["an image", hello, { image: true }, (seen) => assert.ok(seen.image)],
      ["a JSON schema", { text: '{"city":"Zürich"}', usage }, { schema: true }, (seen) => assert.ok(seen.schema)],
    ];
    for (const stream of [false, true]) {
      for (const [what, said, given, check] of cases) {
        it(`${dialect.name}: ${what}, ${stream ? "streamed" : "plain"}`, async () => {
          reply = say(said);
          assert.deepEqual(await got(await send(given, stream), stream), expected(said));
          const last = upstream.requests.at(-1) as UpstreamRequest;
          assert.ok(wire.authorized(last), `${last.path} ${JSON.stringify(last.headers)}`);
          assert.equal(asked().stream, stream);
          check(asked());
        });
      }
    }

    it(`${dialect.name}: a stream in pieces of seven bytes`, async () => {
      reply = async (_request, response) => {
        response.writeHead(200, { "content-type": wire.contentType });
        await trickle(response, joined(wire.frames(twoCalls)), 7);
        response.end();
      };
      assert.deepEqual(await got(await send({ tools: true }, true), true), expected(twoCalls));
    });

    if (wire.sse) {
      it(`${dialect.name}: a stream with CRLF and comments`, async () => {
        reply = async (_request, response) => {
          response.writeHead(200, { "content-type": `${wire.contentType}; charset=utf-8` });
          await trickle(response, awkward(wire.frames(hello)), 11);
          response.end();
        };
        assert.deepEqual(await got(await send({}, true), true), expected(hello));
      });
    }

    it(`${dialect.name}: a truncated stream is a failure`, async () => {
      const frames = wire.frames(hello);
      reply = (_request, response) => {
        response.writeHead(200, { "content-type": wire.contentType });
        response.end(joined(frames.slice(0, Math.ceil(frames.length / 2))));
      };
      const response = await send({}, true);
      const answer = dialect.stream(await response.text());
      assert.ok("error" in answer, JSON.stringify(answer));
      assert.match(String(answer.error["message"]), /ended before/);
    });

    const failures: [number, number, string, Record<string, string>?][] = [
      [400, 400, "upstream_rejected_request"],
      [401, 502, "upstream_auth_error"],
      [404, 502, "upstream_model_not_found"],
      [500, 502, "upstream_error"],
      [503, 503, "upstream_unavailable"],
      // Runs last, since the target is blocked afterwards.
      [429, 429, "upstream_rate_limited", { "retry-after": "7" }],
    ];
    for (const [theirs, status, code, headers] of failures) {
      it(`${dialect.name}: status ${theirs} becomes ${status} ${code}`, async () => {
        reply = (_request, response) => {
          response.writeHead(theirs, { "content-type": "application/json", ...headers });
          response.end(JSON.stringify(wire.error(theirs, "their words")));
        };
        const response = await send({}, false);
        const body = (await response.json()) as Json;
        assert.equal(response.status, status, JSON.stringify(body));
        if (dialect === openai) assert.equal(dialect.code(body).code, code);
        if (theirs === 400) assert.match(dialect.code(body).message, /their words/);
        if (theirs === 401) assert.doesNotMatch(dialect.code(body).message, /their words/);
        if (theirs === 429) assert.equal(response.headers.get("retry-after"), "7");
      });
    }
  });
}

describe("every provider's decoder", () => {
  it("has a wire format to be tested with", () => {
    assert.deepEqual(
      [...new Set([...wires, ...variantWires].map((wire) => wire.type))].sort(),
      Object.keys(providers).sort(),
    );
  });

  for (const wire of [...wires, ...variantWires]) {
    const made = providers[wire.type];
    if (made === undefined) continue;
    const setting = {
      upstream: wire.upstream ?? "model-1",
      stream: true,
      options: Object.fromEntries(
        Object.entries(own(wire.spec("http://u.test")["options"])).map(([name, value]) => [name, String(value)]),
      ),
    };
    const decoder = () => accepted(made, {}, setting).decoder();

    it(`${wire.type} ${wire.variant ?? ""}: any split of a stream gives the same events`, () => {
      const bytes = joined(wire.frames({ ...twoCalls, text: hello.text ?? "" }));
      const whole = events(decoder(), bytes);
      assert.equal(whole.at(-1)?.kind, "end");
      const normal = (all: ReturnType<typeof events>): string =>
        JSON.stringify(all).replaceAll(/call_[0-9a-f]{32}/g, "call_x");
      fc.assert(
        fc.property(fc.array(fc.nat(bytes.length), { maxLength: 40 }), (cuts) =>
          assert.equal(normal(events(decoder(), bytes, cuts)), normal(whole)),
        ),
        { numRuns: runs(60) },
      );
      assert.equal(
        normal(
          events(
            decoder(),
            bytes,
            Array.from({ length: bytes.length }, (_, at) => at),
          ),
        ),
        normal(whole),
        "split at every byte",
      );
    });

    it(`${wire.type} ${wire.variant ?? ""}: a stream truncated anywhere before its end is an error, never a silent end`, () => {
      const bytes = joined(wire.frames(hello).slice(0, -3));
      fc.assert(
        fc.property(fc.nat(bytes.length), (at) =>
          assert.equal(events(decoder(), bytes.subarray(0, at)).at(-1)?.kind, "error"),
        ),
        { numRuns: runs(60) },
      );
    });

    it(`${wire.type} ${wire.variant ?? ""}: any JSON as an answer, and any bytes as a stream, give an answer or an error`, () => {
      const call = accepted(made, {}, setting);
      fc.assert(
        fc.property(fc.jsonValue(), (body) => {
          const decoded = call.decodeReply(body, {});
          assert.ok("choices" in decoded || "code" in decoded);
        }),
        { numRuns: runs(200) },
      );
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), fc.jsonValue(), (bytes, body) => {
          const text = Buffer.concat([Buffer.from(bytes), Buffer.from(`\n\ndata: ${JSON.stringify(body)}\n\n`)]);
          const last = events(decoder(), text).at(-1)?.kind;
          assert.ok(last === "error" || last === "end");
        }),
        { numRuns: runs(200) },
      );
    });

    it(`${wire.type} ${wire.variant ?? ""}: any JSON as an error body is classified`, () => {
      fc.assert(
        fc.property(
          fc.jsonValue(),
          fc.constantFrom(400, 401, 404, 409, 413, 422, 429, 500, 503, 529),
          (body, status) => {
            const error = made.decodeError({ status, headers: {}, body, nowMs: 0 });
            assert.ok(error.message.length > 0);
          },
        ),
        { numRuns: runs(200) },
      );
    });
  }
});
