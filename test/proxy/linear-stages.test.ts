/** The same for the stages behind masking, and for what reads answers on their way to the client. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { describe } from "node:test";
import { cacheKey } from "../../proxy/cache/key.ts";
import { literals, question } from "../../proxy/cache/question.ts";
import type { Identity } from "../../proxy/call/identity.ts";
import { parseBody, type Received } from "../../proxy/call/received.ts";
import type { Shaped } from "../../proxy/call/shaped.ts";
import { cacheConfig } from "../../proxy/config/cache.ts";
import type { WireFormat } from "../../proxy/config/capabilities.ts";
import { isRefusal } from "../../proxy/dialects/canonical.ts";
import { estimatePromptTokens, estimateTextTokens } from "../../proxy/dialects/estimate.ts";
import { dialects } from "../../proxy/dialects/registry.ts";
import { isFailure } from "../../proxy/failure.ts";
import { IdSeal } from "../../proxy/identity/id-seal.ts";
import { openRequest } from "../../proxy/ids/open-request.ts";
import { ownerOf } from "../../proxy/ids/owner.ts";
import { sealFrames, sealIds } from "../../proxy/ids/seal-reply.ts";
import { AnswerRecorder } from "../../proxy/pipeline/answer-recorder.ts";
import { linksOf } from "../../proxy/pipeline/linked.ts";
import type { Masked } from "../../proxy/pipeline/proof.ts";
import { excerpts } from "../../proxy/pipeline/redacted-excerpt.ts";
import { serverUses } from "../../proxy/pipeline/server-tools.ts";
import { shape } from "../../proxy/pipeline/shape.ts";
import { passedReply } from "../../proxy/pipeline/whole-reply.ts";
import { worstCost } from "../../proxy/pipeline/worst-case.ts";
import { actedNames } from "../../proxy/snapshot/acted-names.ts";
import type { ResolvedTarget } from "../../proxy/snapshot/resolved-target.ts";
import type { Route } from "../../proxy/snapshot/snapshot.ts";
import { applyEdits } from "../../proxy/wire/json-edit.ts";
import { fill, itIsLinear, listOf, type Make, prose } from "../harness/linear.ts";

const config = cacheConfig.parse({
  ttlMs: 1,
  maxEntries: 1,
  scope: "Namespace",
  ignore: [],
  temperatureAtMost: null,
  maxTokensBelow: null,
});
const prompts = [
  { position: "Prepend", role: "system", content: "You help {{user}}." },
  { position: "Append", role: "user", content: "Be brief." },
];
const request = { defaults: { temperature: 1 }, overrides: { max_tokens: 10 }, prompts };
const route = { fingerprint: "f", acted: actedNames(request as never), config: { request } } as unknown as Route;
const identity = { anonymous: false, namespace: "a", key: { id: "a/k", user: "u", team: null } } as unknown as Identity;
const digest = (text: string): string => createHash("sha256").update(text).digest("hex");
const ids = new IdSeal(Buffer.alloc(32, 1), ["a/p"]);
const owner = ownerOf(identity, route, new Map());
const target = {
  config: {},
  entry: { account: { config: { id: "a/p", timeouts: { totalMs: 60_000 } } } },
  model: {
    name: "m",
    config: { upstream: "m", price: { tiers: [] }, maxOutputTokens: 10, contextTokens: 100 },
  },
} as unknown as ResolvedTarget;

function receivedOf(body: string): Received {
  const received = parseBody(Buffer.from(body));
  if (isFailure(received)) throw new Error(received.message);
  return received;
}

function shapedOf(received: Received, format: WireFormat): Shaped {
  const shaped = shape(received as Masked, { routed: { route, model: "m" }, format, identity, nowMs: 0 });
  if (isFailure(shaped)) throw new Error(shaped.message);
  return shaped;
}

const chat = (content: unknown, more = ""): string =>
  `{"model":"m","messages":[{"role":"user","content":${typeof content === "string" ? JSON.stringify(content) : String(content)}}]${more}}`;
const inParts = (size: number, part: (index: number) => string): string => `[${listOf(size, part)}]`;

/** Bodies of chats. */
const bodies: [string, Make][] = [
  ["many members", (size) => chat("Hi", `,${listOf(size, (index) => `"member${index}":0`)}`)],
  [
    "small parts",
    (size) =>
      `{"model":"m","messages":[{"role":"user","content":${inParts(size, () => '{"type":"text","text":"a"}')}}]}`,
  ],
  [
    "images",
    (size) =>
      `{"model":"m","messages":[{"role":"user","content":${inParts(size, () => '{"type":"image_url","image_url":{"url":"http://a"}}')}}]}`,
  ],
  [
    "files",
    (size) =>
      `{"model":"m","messages":[{"role":"user","content":${inParts(size, (index) => `{"type":"file","file":{"file_id":"file-${index}"}}`)}}]}`,
  ],
  [
    "short messages",
    (size) =>
      `{"model":"m","messages":[${Array.from({ length: 2_000 }, () => `{"role":"user","content":${JSON.stringify(fill("\\u4e00 ", size / 2_500))}}`).join(",")}]}`,
  ],
  ["wide characters", (size) => chat(fill("\u4e00", size / 3))],
  ["numbers", (size) => chat("Hi", `,"x":[${listOf(size, (index) => `${index + 1}12345678901234567`)}]`)],
  ["digits", (size) => chat(fill("1", size))],
  ["escapes", (size) => chat(fill("\n", size / 2))],
  [
    "arguments",
    (size) =>
      `{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":${JSON.stringify(`{${listOf(size / 2, (index) => `"a${index}":0`)}}`)}}}]}]}`,
  ],
  [
    "tools",
    (size) =>
      chat(
        "Hi",
        `,"tools":[${Array.from({ length: 200 }, (_, index) => `{"type":"function","function":{"name":"f${index}","description":${JSON.stringify(prose(size / 250))},"parameters":{}}}`).join(",")}]`,
      ),
  ],
];
/** Unlike prose, an ordinary body of many members has members. */
const memberBody: Make = (size) =>
  `{"model":"m","messages":[{"role":"user","content":"Hi"}],"metadata":{${listOf(size, (index) => `"word${index}":"is it"`)}}}`;

const large = bodies.filter(([what]) => what === "small parts" || what === "digits");

/** A stage that gets a chat as earlier stages leave it. */
const ofChat = (name: string, run: (shaped: Shaped) => void): void =>
  itIsLinear({
    name,
    prepare: (text) => {
      const shaped = shapedOf(receivedOf(text), "openai.chat");
      return () => run(shaped);
    },
    worst: bodies,
    plain: memberBody,
    large,
  });

describe("the stages behind masking take time linear in the body", () => {
  itIsLinear({
    name: "shape",
    prepare: (text) => {
      const received = receivedOf(text);
      return () => void shapedOf(received, "openai.chat");
    },
    worst: bodies,
    plain: memberBody,
    large,
  });
  ofChat(
    "apply edits",
    ({ received, edits }) => void applyEdits(received.bytes, received.outline, { ...edits, model: "n" }),
  );
  ofChat("decode a chat and estimate its tokens", (shaped) => {
    const decoded = shapedOf(shaped.received, "openai.chat").chat();
    if (!isRefusal(decoded)) estimatePromptTokens(decoded);
  });
  ofChat("links", ({ received }) => void linksOf(received.json));
  ofChat("server tools", (shaped) => void serverUses(shaped));
  ofChat("worst cost", (shaped) => void worstCost(shaped, [target]));
  ofChat("open ids", (shaped) => void openRequest(shaped, ids, owner, () => true));
  ofChat(
    "cache key",
    (shaped) => void cacheKey({ config, shaped, route, identity, preferred: null, headers: {}, digester: { digest } }),
  );
  ofChat(
    "cache question",
    (shaped) => void question({ config, shaped, route, identity, preferred: null, headers: {}, digester: { digest } }),
  );
  ofChat("an excerpt for the log", ({ received }) => void excerpts(received.bytes, "", null, ["secret-of-provider"]));
  itIsLinear({
    name: "literals of a question",
    prepare: (text) => () => void literals(text),
    worst: ["1", "1 ", "((((", "a", "://", "@@", "\u0661"].map((bait) => [bait, (size) => fill(bait, size)]),
  });
  itIsLinear({
    name: "estimate a text",
    prepare: (text) => () => void estimateTextTokens(text),
    worst: [["wide characters", (size) => fill("\u4e00", size)]],
  });
  for (const format of ["openai.responses", "anthropic.messages", "openai.completions"] as const)
    itIsLinear({
      name: `decode ${format}`,
      prepare: (text) => {
        const { json } = receivedOf(text);
        return () => void dialects[format]?.decode(json);
      },
      worst: [
        ["short messages", (size) => turnsOf(format, size)],
        ["one text", (size) => textOf(format, fill("\n", size / 2))],
      ],
      plain: (size) => textOf(format, prose(size)),
    });
});

const memberOf = {
  "openai.responses": "input",
  "anthropic.messages": "messages",
  "openai.completions": "prompt",
} as const;

function textOf(format: keyof typeof memberOf, text: string): string {
  const content = format === "openai.completions" ? text : [{ role: "user", content: text }];
  return JSON.stringify({ model: "m", max_tokens: 10, [memberOf[format]]: content });
}

function turnsOf(format: keyof typeof memberOf, size: number): string {
  if (format === "openai.completions") return textOf(format, fill("\u4e00", size / 3));
  const turns = Array.from({ length: 2_000 }, (_, index) => ({
    role: index % 2 === 0 ? "user" : "assistant",
    content: [{ type: index % 2 === 0 ? "input_text" : "output_text", text: prose(size / 2_200) }],
  }));
  return JSON.stringify({ model: "m", max_tokens: 10, [memberOf[format]]: turns });
}

/** Events of a chat's stream, each with what `delta` gives. */
const eventsOf = (size: number, delta: (index: number) => string): string => {
  let length = 0;
  const frames: string[] = [];
  for (let index = 0; length < size; index++) {
    const frame = `data: {"id":"c","choices":[{"index":0,"delta":${delta(index)}}]}\n\n`;
    frames.push(frame);
    length += frame.length;
  }
  return frames.join("");
};
const word = '{"content":"word "}';
const streams: [string, Make][] = [
  [
    "tool calls",
    (size) =>
      eventsOf(
        size,
        (index) => `{"tool_calls":[{"index":${index},"id":"c${index}","function":{"name":"f","arguments":"{}"}}]}`,
      ),
  ],
  [
    "arguments of one call",
    (size) => eventsOf(size, () => '{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}'),
  ],
  ["choices", (size) => eventsOf(size, () => word).replace(/"index":0/g, choice())],
  ["one event", (size) => eventsOf(size, () => `{"content":${JSON.stringify(fill("\n", size / 3))}}`)],
  ["empty events", (size) => eventsOf(size, () => "{}")],
  ["quotes and backslashes", (size) => eventsOf(size, () => `{"content":"${fill('\\"', 60)}"}`)],
];
function choice(): () => string {
  let index = 0;
  return () => `"index":${index++}`;
}
const inReads = (text: string, push: (bytes: Buffer) => void): void => {
  const bytes = Buffer.from(text);
  for (let from = 0; from < bytes.length; from += 1_400) push(bytes.subarray(from, from + 1_400));
};
const replies: [string, Make][] = [
  ["usage in a text", (size) => JSON.stringify({ choices: [{ message: { content: fill('"usage":', size / 2) } }] })],
  [
    "usage objects in a text",
    (size) => JSON.stringify({ choices: [{ message: { content: fill('"usage":{', size / 2) } }] }),
  ],
  ["usage members", (size) => `{"choices":[${listOf(size, () => '{"usage":{"a":1}}')}],"usage":{"prompt_tokens":1}}`],
  ["open usage", (size) => `{"choices":[],${fill('"usage":{', size)}}`],
  ["ids", (size) => `{"choices":[${listOf(size, (index) => `{"id":"file-${index}","file_id":"file-${index}"}`)}]}`],
  [
    "vectors",
    (size) => `{"data":[{"embedding":[${listOf(size, (index) => `0.${index}`)}]}],"usage":{"prompt_tokens":1}}`,
  ],
];
const plainReply: Make = (size) =>
  JSON.stringify({ id: "c", choices: [{ index: 0, message: { role: "assistant", content: prose(size) } }] });

describe("what reads answers takes time linear in them", () => {
  for (const format of ["openai.chat", "openai.responses", "anthropic.messages", "openai.completions"] as const) {
    itIsLinear({
      name: `observe a stream of ${format}`,
      prepare: (text) => () => {
        const observer = dialects[format]?.observer({ hideUsage: true, maxEventBytes: 1e8 });
        inReads(text, (bytes) => void observer?.push(bytes));
        observer?.flush();
      },
      worst: streams,
      plain: (size) => eventsOf(size, () => word),
    });
  }
  itIsLinear({
    name: "record a stream",
    prepare: (text) => () => {
      const recorder = new AnswerRecorder("openai.chat");
      inReads(text, (bytes) => void recorder.chunk(bytes));
    },
    worst: streams,
    plain: (size) => eventsOf(size, () => word),
  });
  itIsLinear({
    name: "seal the ids of a stream",
    prepare: (text) => () => void sealFrames(Buffer.from(text), (id) => `sealed_${id}`, true),
    worst: streams,
    plain: (size) => eventsOf(size, () => word),
  });
  itIsLinear({
    name: "seal the ids of an answer",
    prepare: (text) => () => void sealIds(text, (id) => `sealed_${id}`, true),
    worst: replies,
    plain: plainReply,
  });
  itIsLinear({
    name: "read a passed answer",
    prepare: (text) => () => {
      const usageOf = dialects["openai.chat"]?.usageOf;
      if (usageOf !== undefined) void passedReply(Buffer.from(text), usageOf);
    },
    worst: replies,
    plain: plainReply,
  });
});
