/** What may differ between two questions, over generated bodies: the words of the last message, and nothing else. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { type Question, question } from "../../../proxy/cache/question.ts";
import type { Identity } from "../../../proxy/call/identity.ts";
import { parseBody } from "../../../proxy/call/received.ts";
import type { Shaped } from "../../../proxy/call/shaped.ts";
import { type CacheConfig, cacheConfig } from "../../../proxy/config/cache.ts";
import type { Masked } from "../../../proxy/pipeline/proof.ts";
import { shape } from "../../../proxy/pipeline/shape.ts";
import { actedNames } from "../../../proxy/snapshot/acted-names.ts";
import type { Route } from "../../../proxy/snapshot/snapshot.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc, { runs } from "../../harness/property.ts";

const config: CacheConfig = cacheConfig.parse({
  ttlMs: 1,
  maxEntries: 1,
  scope: "Namespace",
  ignore: [],
  temperatureAtMost: null,
  maxTokensBelow: null,
});
const request = { defaults: {}, overrides: {}, prompts: [] };
const route = { fingerprint: "f", acted: actedNames(request), config: { request } } as unknown as Route;
const identity = { anonymous: false, namespace: "a", key: { id: "a/k", user: "u", team: null } } as unknown as Identity;
const digest = (text: string): string => createHash("sha256").update(text).digest("hex");

function asked(format: Shaped["format"], body: JsonObject): Question | null {
  const received = parseBody(Buffer.from(JSON.stringify({ model: "m", ...body })));
  if ("code" in received) throw new Error(received.message);
  const shaped = shape(received as Masked, { routed: { route, model: "m" }, format, identity, nowMs: 0 });
  if ("code" in shaped) throw new Error(shaped.message);
  return question({ config, shaped, route, identity, preferred: null, headers: {}, digester: { digest } });
}

/** Words without figures and addresses. */
const words = fc
  .array(fc.constantFrom("how", "why", "is", "the", "sky", "blue", "grün", "空", "?"), { minLength: 1, maxLength: 8 })
  .map((list) => list.join(" "));
const message = fc.record({ role: fc.constantFrom("user", "assistant", "system"), content: words });
const rest = fc.record({
  before: fc.array(message, { maxLength: 3 }),
  more: fc.dictionary(
    fc.constantFrom("temperature", "novel", "user", "stop"),
    fc.oneof(fc.integer(), fc.boolean(), fc.string(), fc.array(fc.integer(), { maxLength: 3 }), fc.constant(null)),
  ),
});
type Rest = { before: JsonObject[]; more: JsonObject };

const shapes: [string, Shaped["format"], (text: string, rest: Rest) => JsonObject][] = [
  [
    "a chat",
    "openai.chat",
    (text, { before, more }) => ({ ...more, messages: [...before, { role: "user", content: text }] }),
  ],
  [
    "a chat in parts",
    "openai.chat",
    (text, { before, more }) => ({
      ...more,
      messages: [...before, { role: "user", content: [{ type: "text", text }] }],
    }),
  ],
  [
    "Anthropic's messages",
    "anthropic.messages",
    (text, { before, more }) => ({ ...more, messages: [...before, { role: "user", content: text }] }),
  ],
  [
    "Responses",
    "openai.responses",
    (text, { before, more }) => ({
      ...more,
      input: [...before, { role: "user", content: [{ type: "input_text", text }] }],
    }),
  ],
];

describe("a question", () => {
  for (const [name, format, body] of shapes) {
    it(`of ${name} has the partition of another exactly where all but the last words is equal`, () => {
      fc.assert(
        fc.property(words, words, rest, rest, fc.boolean(), (one, two, some, others, same) => {
          const [a, b] = [some as Rest, (same ? some : others) as Rest];
          const [first, second] = [asked(format, body(one, a)), asked(format, body(two, b))];
          assert.ok(first !== null && second !== null);
          assert.deepEqual([first.text, second.text], [one, two]);
          const equal = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
          assert.equal(first.partition === second.partition, equal);
        }),
        { numRuns: runs(300) },
      );
    });

    it(`of ${name} keeps apart what differs in a figure`, () => {
      fc.assert(
        fc.property(words, fc.nat(), fc.nat(), rest, (text, one, two, some) => {
          const [first, second] = [
            asked(format, body(`${text} ${one}`, some as Rest)),
            asked(format, body(`${two} ${text}`, some as Rest)),
          ];
          assert.equal(first?.partition === second?.partition, one === two);
        }),
        { numRuns: runs(200) },
      );
    });
  }

  const none: [string, Shaped["format"], JsonObject][] = [
    ["is of the assistant's", "openai.chat", { messages: [{ role: "assistant", content: "hello" }] }],
    [
      "has a picture",
      "openai.chat",
      {
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: "a" },
              { type: "image_url", image_url: { url: "u" } },
            ],
          },
        ],
      },
    ],
    [
      "is a tool's result",
      "anthropic.messages",
      { messages: [{ role: "user", content: [{ type: "tool_result", tool_use_id: "t", content: "a" }] }] },
    ],
    ["has no words", "openai.chat", { messages: [{ role: "user", content: " \n" }] }],
    ["is empty", "openai.chat", { messages: [{ role: "user", content: [] }] }],
    ["is no message", "openai.chat", { messages: ["hello"] }],
    ["is no list", "openai.chat", { messages: { role: "user", content: "hello" } }],
    ["is too long", "openai.chat", { messages: [{ role: "user", content: "x".repeat(8_193) }] }],
    [
      "comes with tools",
      "openai.chat",
      { messages: [{ role: "user", content: "hello" }], tools: [{ type: "function", function: { name: "f" } }] },
    ],
    [
      "comes with functions",
      "openai.chat",
      { messages: [{ role: "user", content: "hello" }], functions: [{ name: "f" }] },
    ],
    ["is many prompts", "openai.completions", { prompt: ["a", "b"] }],
    ["is of token numbers", "openai.completions", { prompt: [1, 2] }],
    ["asks for embeddings", "openai.embeddings", { input: "hello" }],
    [
      "is a function's output",
      "openai.responses",
      { input: [{ type: "function_call_output", call_id: "c", output: "a" }] },
    ],
  ];
  for (const [what, format, body] of none)
    it(`is none where it ${what}`, () => assert.equal(asked(format, body), null));
});

const sorted = ({ before, more }: Rest): unknown => [before, canonical(more)];
const canonical = (value: unknown): unknown =>
  value !== null && typeof value === "object" && !Array.isArray(value)
    ? Object.fromEntries(
        Object.entries(value)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, inner]) => [name, canonical(inner)]),
      )
    : Array.isArray(value)
      ? value.map(canonical)
      : value;
