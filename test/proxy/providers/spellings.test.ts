/** Other spellings of a chat, which clients of gateways write, reach every provider as the documented ones do. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ReplyContext } from "../../../proxy/dialects/dialect.ts";
import { dialects } from "../../../proxy/dialects/registry.ts";
import type { Provider } from "../../../proxy/providers/provider.ts";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import type { Json } from "../../harness/strict/json.ts";
import { accountOf, modelOf } from "./drive.ts";
import { sent, targets } from "./translated.ts";

const png = "data:image/png;base64,iVBORw0KGgo=";
const user = (content: unknown): Json => ({ role: "user", content });
const chat = (more: Json = {}): Json => ({ messages: [user("Hi")], max_tokens: 9_000, ...more });
const image = (image_url: unknown): Json => ({ messages: [user([{ type: "image_url", image_url }])] });
const thinking = (budget_tokens: number): Json => ({ thinking: { type: "enabled", budget_tokens } });
const call = { id: "call_12345", type: "function", function: { name: "weather", arguments: "{}" } };
const fn = { name: "weather", parameters: { type: "object", properties: {} } };
const answer = (more: Json): Json => ({
  messages: [
    user("Hi"),
    { role: "assistant", content: null, tool_calls: [call], ...more },
    { role: "tool", tool_call_id: call.id, content: "wet" },
  ],
  tools: [{ type: "function", function: fn }],
});
const signed = { thinking_blocks: [{ type: "thinking", thinking: "hm", signature: "c2ln" }] };
const detail = { type: "reasoning.text", text: "hm", signature: "c2ln", format: "anthropic-claude-v1", index: 0 };

interface Row {
  spelled: Json;
  documented: Json;
}

const rows: Record<string, Row> = {
  "an image's address without an object": { spelled: image(png), documented: image({ url: png }) },
  "an image's address on the web": {
    spelled: image("https://x.test/a.png"),
    documented: image({ url: "https://x.test/a.png" }),
  },
  "an image in a tool's result": {
    spelled: {
      messages: [
        ...(answer({})["messages"] as Json[]).slice(0, 2),
        {
          ...(answer({})["messages"] as Json[])[2],
          content: [
            { type: "text", text: "wet" },
            { type: "image_url", image_url: png },
          ],
        },
      ],
    },
    documented: {
      messages: [
        ...(answer({})["messages"] as Json[]).slice(0, 2),
        {
          ...(answer({})["messages"] as Json[])[2],
          content: [
            { type: "text", text: "wet" },
            { type: "image_url", image_url: { url: png } },
          ],
        },
      ],
    },
  },
  "reasoning.effort": {
    spelled: chat({ reasoning: { effort: "low" } }),
    documented: chat({ reasoning_effort: "low" }),
  },
  "reasoning.effort, none": {
    spelled: chat({ reasoning: { effort: "none" } }),
    documented: chat({ reasoning_effort: "none" }),
  },
  "reasoning.max_tokens": { spelled: chat({ reasoning: { max_tokens: 3_000 } }), documented: chat(thinking(3_000)) },
  "reasoning.enabled": {
    spelled: chat({ reasoning: { enabled: true } }),
    documented: chat({ reasoning_effort: "medium" }),
  },
  "reasoning.enabled, off": {
    spelled: chat({ reasoning: { enabled: false, effort: "high" } }),
    documented: chat({ reasoning_effort: "none" }),
  },
  "reasoning without a wish": { spelled: chat({ reasoning: {} }), documented: chat() },
  "reasoning.exclude": {
    spelled: chat({ reasoning: { effort: "low", exclude: true } }),
    documented: chat({ reasoning_effort: "low" }),
  },
  include_reasoning: { spelled: chat({ include_reasoning: false }), documented: chat() },
  enable_thinking: { spelled: chat({ enable_thinking: false }), documented: chat({ reasoning_effort: "none" }) },
  thinking_budget: {
    spelled: chat({ enable_thinking: true, thinking_budget: 3_000 }),
    documented: chat(thinking(3_000)),
  },
  "reasoning of an earlier answer": {
    spelled: answer({ reasoning: "hm" }),
    documented: answer({ reasoning_content: "hm" }),
  },
  "signed details of reasoning": {
    spelled: answer({ reasoning: "hm", reasoning_details: [detail] }),
    documented: answer(signed),
  },
  "another maker's details": {
    spelled: answer({ reasoning_details: [{ ...detail, format: "google-gemini-v1" }] }),
    documented: answer({ reasoning_content: "hm" }),
  },
  "hidden details": {
    spelled: answer({
      reasoning_details: [{ type: "reasoning.encrypted", data: "eA==", format: "anthropic-claude-v1" }],
    }),
    documented: answer({ thinking_blocks: [{ type: "redacted_thinking", data: "eA==" }] }),
  },
};

const parsed = (of: ReturnType<typeof sent>): unknown =>
  of === null ? null : { body: of.body, named: of.named.toSorted() };

type Passed = "OpenAI" | "AzureOpenAI" | "OpenAICompatible" | "Bedrock" | "VertexAI";

/** A body after the edits of the provider that it passes through to. */
function passed(type: Passed, upstream: string, body: Json, options: Record<string, string> = {}): Json {
  const [account, model] = [accountOf({ options }), modelOf({ upstream })];
  const edits = (providers[type] as Provider).passthroughEdits?.("openai.chat", account, model, body) ?? {};
  const whole = { ...body, ...edits };
  return Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined));
}

const named = (type: "OpenAI" | "OpenAICompatible", upstream: string, body: Json): string[] =>
  (providers[type] as Provider).passthroughDrops?.("openai.chat", body, accountOf({}), modelOf({ upstream })) ?? [];

describe("spellings of a chat", () => {
  for (const [title, { spelled, documented }] of Object.entries(rows)) {
    it(`are translated like the documented one: ${title}`, () => {
      for (const target of targets)
        assert.deepEqual(
          parsed(sent(target, "openai.chat", spelled)),
          parsed(sent(target, "openai.chat", documented)),
          target.join(" "),
        );
    });

    it(`pass through to OpenAI as it accepts them: ${title}`, () => {
      for (const type of ["OpenAI", "AzureOpenAI"] as const)
        assert.deepEqual(passed(type, "gpt-5.1", spelled), passed(type, "gpt-5.1", documented));
    });
  }

  it("leave the words that a compatible server knows", () => {
    const asked = chat({ reasoning: { effort: "low" } });
    assert.deepEqual(passed("OpenAICompatible", "m", asked), asked);
    assert.deepEqual(passed("OpenAICompatible", "m", image(png)), image({ url: png }));
  });

  it("are read at a cloud's endpoint in OpenAI's format", () => {
    for (const [type, upstream] of [
      ["Bedrock", "openai.gpt-oss-120b-1:0"],
      ["VertexAI", "meta/llama"],
    ] as const) {
      const to = { api: "OpenAI" };
      assert.deepEqual(passed(type, upstream, image(png), to), image({ url: png }));
      const asked = chat({ reasoning: { effort: "low" } });
      assert.deepEqual(passed(type, upstream, asked, to), chat({ reasoning_effort: "low" }));
    }
  });

  it("become an effort for a compatible server that knows only this", () => {
    const options = { reasoning: "Effort" };
    for (const words of [{ reasoning: { max_tokens: 1_500 } }, { thinking: { type: "enabled", budget_tokens: 1_500 } }])
      assert.deepEqual(passed("OpenAICompatible", "m", chat(words), options), chat({ reasoning_effort: "low" }));
  });

  it("are named where OpenAI's model takes none of it", () => {
    const reasoning = chat({ reasoning: { effort: "low" } });
    assert.deepEqual(passed("OpenAI", "gpt-4o", reasoning), chat());
    assert.deepEqual(named("OpenAI", "gpt-4o", reasoning), ["reasoning"]);
    assert.deepEqual(named("OpenAI", "gpt-4o", chat({ reasoning: { enabled: false } })), []);
    assert.deepEqual(named("OpenAI", "gpt-5", reasoning), []);
    assert.deepEqual(named("OpenAI", "gpt-5", chat({ reasoning: { effort: "low", summary: "auto" } })), [
      "reasoning.summary",
    ]);
  });

  it("lose marks for a cache at OpenAI, which are named", () => {
    const mark = { cache_control: { type: "ephemeral" } };
    const marked = {
      messages: [{ ...user([{ type: "text", text: "a", ...mark }]), ...mark }],
      tools: [{ type: "function", function: { ...fn, ...mark }, ...mark }],
      ...mark,
    };
    assert.deepEqual(passed("OpenAI", "gpt-4o", marked), {
      messages: [user([{ type: "text", text: "a" }])],
      tools: [{ type: "function", function: fn }],
    });
    assert.deepEqual(named("OpenAI", "gpt-4o", marked), ["cache_control"]);
    assert.deepEqual(passed("OpenAICompatible", "m", marked), marked);
  });

  it("are refused if they can't be read", () => {
    for (const wrong of [{ reasoning: "high" }, { reasoning: { max_tokens: "x" } }, { enable_thinking: "x" }])
      for (const target of targets) assert.equal(sent(target, "openai.chat", chat(wrong)), null);
    assert.deepEqual(passed("OpenAI", "gpt-5", chat({ reasoning: "high" })), chat({ reasoning: "high" }));
  });
});

describe("reasoning that the client doesn't want to see", () => {
  const dialect = dialects["openai.chat"];
  const thought = { reasoning_content: "hm", thinking_blocks: signed.thinking_blocks };
  const context = (body: Json): ReplyContext => ({
    model: "m",
    fallbackId: "r",
    createdSeconds: 1,
    includeUsage: false,
    request: { model: "m", messages: [] },
    body,
  });
  const wishes: Record<string, { body: Json; shown: boolean }> = {
    "reasoning.exclude": { body: { reasoning: { exclude: true } }, shown: false },
    "include_reasoning, off": { body: { include_reasoning: false }, shown: false },
    "reasoning.exclude, off": { body: { reasoning: { exclude: false } }, shown: true },
    "no wish": { body: {}, shown: true },
  };
  for (const [title, { body, shown }] of Object.entries(wishes)) {
    it(`is ${shown ? "" : "not "}in an answer: ${title}`, () => {
      const message = { role: "assistant" as const, content: "Hello", ...thought };
      const choices = [{ index: 0, message, finish_reason: "stop" as const }];
      const made = dialect?.encodeReply({ id: "i", created: 1, model: "m", choices, usage: null }, context(body));
      assert.equal(JSON.stringify(made).includes("hm"), shown);
      assert.ok(JSON.stringify(made).includes("Hello"));
    });

    it(`is ${shown ? "" : "not "}in a stream: ${title}`, () => {
      const encoder = dialect?.encoder(context(body));
      const text = encoder?.encode({ kind: "delta", choice: 0, delta: thought }) ?? "";
      assert.equal(text.includes("hm"), shown);
      assert.ok(encoder?.encode({ kind: "delta", choice: 0, delta: { content: "Hello" } }).includes("Hello"));
    });
  }
});

describe("members of a chat that no provider reads", () => {
  const lost: Record<string, { body: Json; name: string }> = {
    "of a message": { body: { messages: [{ ...user("Hi"), mood: "x" }] }, name: "messages.mood" },
    "of a part": {
      body: { messages: [user([{ type: "text", text: "a", style: "x" }])] },
      name: "messages.content.style",
    },
    "of an image": {
      body: image({ url: png, crop: "x" }),
      name: "messages.content.image_url.crop",
    },
    "of a tool": {
      body: chat({ tools: [{ type: "function", function: fn, defer_loading: true }] }),
      name: "tools.defer_loading",
    },
    "of a function": {
      body: chat({ tools: [{ type: "function", function: { ...fn, examples: ["x"] } }] }),
      name: "tools.function.examples",
    },
    "of a call": {
      body: answer({ tool_calls: [{ ...call, extra_content: { google: {} } }] }),
      name: "messages.tool_calls.extra_content",
    },
    "of reasoning": { body: chat({ reasoning: { effort: "low", summary: "auto" } }), name: "reasoning.summary" },
  };
  for (const [title, { body, name }] of Object.entries(lost))
    it(`are named: ${title}`, () => {
      for (const target of targets) {
        const made = sent(target, "openai.chat", body);
        if (made !== null) assert.ok(made.named.includes(name), target.join(" "));
      }
    });

  it("are not named if an answer held them, or if they have no value", () => {
    const echo = answer({ annotations: [], refusal: null, audio: null, function_call: null, mood: null, parsed: {} });
    for (const target of targets)
      assert.deepEqual(sent(target, "openai.chat", echo)?.named, sent(target, "openai.chat", answer({}))?.named);
  });
});
