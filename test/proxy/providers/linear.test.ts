/** No provider's request, answer or stream takes more than a few times what plain prose of its size takes. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe } from "node:test";
import { type ChatMessage, type ChatRequest, isRefusal } from "../../../proxy/dialects/canonical.ts";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import { parseJson } from "../../../proxy/wire/json.ts";
import { fill, itIsLinear, listOf, type Make, prose } from "../../harness/linear.ts";
import { accountOf, modelOf } from "./drive.ts";
import type { Said } from "./wire/wire.ts";
import { wires } from "./wire/wires.ts";

const usage = { prompt: 10, cached: 0, completion: 10 };
const options = { projectId: "p", apiVersion: "2024-10-21", region: "eu-west-1", project: "p", location: "eu" };
const setting = { endpoint: "https://upstream.test", options };

const user = (content: ChatMessage["content"]): ChatMessage => ({ role: "user", content }) as ChatMessage;
const tool = (index: number, args: string): ChatMessage[] =>
  [
    {
      role: "assistant",
      content: null,
      tool_calls: [{ id: `call_${index}`, type: "function", function: { name: "look_up", arguments: args } }],
    },
    { role: "tool", tool_call_id: `call_${index}`, content: args },
  ] as ChatMessage[];
const messagesOf = (messages: ChatMessage[]): string => JSON.stringify({ model: "m", messages });

/** As many messages as fill the size, at most those that a request may have. */
function many(size: number, make: (index: number, text: string) => ChatMessage[]): string {
  const count = 1_000;
  const text = prose(Math.max(1, Math.floor(size / count) - 60));
  return messagesOf([
    user("Hi"),
    ...Array.from({ length: count }, (_, index) => make(index, text)).flat(),
    user("So?"),
  ]);
}

const nested = (size: number): string =>
  `${'{"a":'.repeat(30)}${JSON.stringify(fill("\\n", size / 2))}${"}".repeat(30)}`;
const requests: [string, Make][] = [
  [
    "a tool's many arguments",
    (size) => messagesOf(tool(0, `{${listOf(size / 3, (index) => `"a${index}":${index}`)}}`)),
  ],
  ["control characters", (size) => messagesOf([user(fill("\u0001\n", size / 5))])],
  ["wide characters", (size) => messagesOf([user(fill("\u{1F600}ü", size / 6))])],
  ["turns of one role", (size) => many(size, (_, text) => [user(text)])],
  ["turns of tools", (size) => many(size / 2, (index, text) => tool(index, JSON.stringify({ text })))],
  [
    "parts of one turn",
    (size) => messagesOf([user(Array.from({ length: size / 40 }, () => ({ type: "text", text: "a" })))]),
  ],
  ["a deep tool argument", (size) => messagesOf(tool(0, nested(size / 4)))],
  ["broken tool arguments", (size) => messagesOf(tool(0, fill("[{", size / 3)))],
  [
    "a schema of many members",
    (size) =>
      `{"model":"m","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{${listOf(size, (index) => `"a${index}":{"type":"string"}`)}}}}}]}`,
  ],
];

const said = (text: string): Said => ({ text, usage });
const calling = (args: Record<string, unknown>): Said => ({ calls: [{ id: "c", name: "look_up", args }], usage });
const manyCalls = (count: number): Said => ({
  calls: Array.from({ length: count }, (_, index) => ({ id: `c${index}`, name: "look_up", args: { index } })),
  usage,
});
const argsOf = (size: number): Record<string, unknown> =>
  Object.fromEntries(Array.from({ length: size / 14 }, (_, index) => [`a${index}`, index]));

describe("translation takes time linear in what is translated", () => {
  /** One of those that share the code of OpenAI's format is enough at 10 MB. */
  const alike = new Set(["OpenAICompatible", "AzureOpenAI", "Mistral", "Watsonx"]);
  for (const wire of wires) {
    const sizes = alike.has(wire.type) ? [1e6] : [1e6, 1e7];
    const provider = providers[wire.type];
    const chat = provider?.chat;
    assert.ok(provider && chat, wire.type);
    const made = (request: ChatRequest, stream: boolean): Exclude<ReturnType<typeof chat>, { message: string }> => {
      const call = chat(request, accountOf({ ...setting, credentials: wire.secret }), modelOf({}), {
        stream,
        deadlineMs: 60_000,
      });
      if (isRefusal(call)) throw new Error(call.message);
      return call as never;
    };
    itIsLinear({
      sizes,
      name: `${wire.type}: a request`,
      prepare: (text) => {
        const request = parseJson(text) as ChatRequest;
        return () => void chat(request, accountOf(setting), modelOf({}), { stream: false, deadlineMs: 60_000 });
      },
      worst: requests,
      plain: (size) => messagesOf([user(prose(size))]),
    });
    const hello = { model: "m", messages: [user("Hi")] } as ChatRequest;
    itIsLinear({
      sizes,
      name: `${wire.type}: a whole answer`,
      prepare: (text) => () => void made(hello, false).decodeReply(parseJson(text), {}),
      worst: [
        ["a tool's many arguments", (size) => JSON.stringify(wire.whole(calling(argsOf(size))))],
        ["many calls", (size) => JSON.stringify(wire.whole(manyCalls(size / 100)))],
        ["control characters", (size) => JSON.stringify(wire.whole(said(fill("\u0001\n", size / 6))))],
      ],
      plain: (size) => JSON.stringify(wire.whole(said(prose(size)))),
    });
    const bytesOf = (what: Said): string =>
      Buffer.concat(wire.frames(what).map((frame) => Buffer.from(frame as string))).toString("latin1");
    const perCharacter = bytesOf(said("x".repeat(100))).length / 100;
    itIsLinear({
      sizes,
      name: `${wire.type}: a stream`,
      prepare: (text) => {
        const bytes = Buffer.from(text, "latin1");
        return () => {
          const decoder = made(hello, true).decoder(1e8);
          for (let from = 0; from < bytes.length; from += 1_000) decoder.push(bytes.subarray(from, from + 1_000));
          decoder.end();
        };
      },
      worst: [
        ["many calls", (size) => bytesOf(manyCalls(size / 300))],
        ["a tool's many arguments", (size) => bytesOf(calling(argsOf(Math.min(size, 500_000))))],
        ["wide characters", (size) => bytesOf(said(fill("\u{1F600}", size / perCharacter)))],
      ],
      plain: (size) => bytesOf(said(prose(size / perCharacter))),
    });
  }
});
