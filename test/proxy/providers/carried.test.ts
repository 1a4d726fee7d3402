/** What a conversation carries beyond its texts: marks for the prompt cache, media and failures of tools, late rules. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isRefusal } from "../../../proxy/dialects/canonical.ts";
import { dialects } from "../../../proxy/dialects/registry.ts";
import type { Provider } from "../../../proxy/providers/provider.ts";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import { translatedChat } from "../../../proxy/providers/translated-chat.ts";
import { type Json, list, own } from "../../harness/strict/json.ts";
import { accountOf, events, modelOf } from "./drive.ts";

const mark = { type: "ephemeral", ttl: "1h" };
const png = { type: "image", source: { type: "base64", media_type: "image/png", data: "AA==" } };

function sent(type: string, upstream: string, format: "anthropic.messages" | "openai.chat", body: Json) {
  const request = dialects[format]?.decode({ model: "m", ...body });
  assert.ok(request !== undefined && !isRefusal(request), JSON.stringify(request));
  const made = translatedChat(
    providers[type] as Provider,
    request,
    { account: accountOf({ options: { projectId: "p" } }), model: modelOf({ upstream }) },
    { stream: false, deadlineMs: 1, seed: "s" },
  );
  assert.ok(made !== null && !isRefusal(made), JSON.stringify(made));
  return { ...made, json: JSON.parse(made.body) as Json };
}

/** As Claude Code marks its requests. */
const marked: Json = {
  max_tokens: 10,
  system: [
    { type: "text", text: "x-anthropic-billing-header: cc_version=2;" },
    { type: "text", text: "Rules", cache_control: mark },
  ],
  tools: [{ name: "Bash", input_schema: { type: "object" }, cache_control: mark }],
  messages: [{ role: "user", content: [{ type: "text", text: "Hi", cache_control: mark }] }],
};

describe("marks for the prompt cache", () => {
  it("become cache points for Claude on Bedrock", () => {
    const { json, dropped } = sent("Bedrock", "anthropic.claude-sonnet-4-5", "anthropic.messages", marked);
    const point = { cachePoint: { type: "default", ttl: "1h" } };
    assert.deepEqual(json["system"], [{ text: "Rules" }, point]);
    assert.deepEqual(list(json["messages"])[0]?.["content"], [{ text: "Hi" }, point]);
    assert.deepEqual(list(own(json["toolConfig"])["tools"])[1], point);
    assert.deepEqual(dropped, []);
  });

  it("survive from OpenAI's format to Anthropic", () => {
    const { json } = sent("Anthropic", "claude-sonnet-4-5", "openai.chat", {
      messages: [
        { role: "system", content: [{ type: "text", text: "Rules", cache_control: mark }] },
        { role: "user", content: "Hi" },
      ],
      tools: [{ type: "function", function: { name: "f" }, cache_control: mark }],
    });
    assert.deepEqual(json["system"], [{ type: "text", text: "Rules", cache_control: mark }]);
    assert.deepEqual(list(json["tools"])[0]?.["cache_control"], mark);
  });

  for (const type of ["OpenAI", "OpenAICompatible", "Gemini", "Mistral", "Cohere", "Watsonx"]) {
    it(`are named as lost on ${type}, and leave no trace`, () => {
      const { body, dropped } = sent(type, "model-1", "anthropic.messages", marked);
      assert.deepEqual(dropped, ["cache_control"]);
      assert.doesNotMatch(body, /cache_control|billing/);
    });
  }
});

const results: Json = {
  max_tokens: 10,
  messages: [
    { role: "user", content: "Look" },
    {
      role: "assistant",
      content: [
        { type: "tool_use", id: "toolu_1", name: "shot", input: {} },
        { type: "tool_use", id: "toolu_2", name: "shot", input: {} },
      ],
    },
    {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: "toolu_1", content: [png] },
        { type: "tool_result", tool_use_id: "toolu_2", content: "no screen", is_error: true },
        { type: "text", text: "What is it?" },
      ],
    },
  ],
  tools: [{ name: "shot", input_schema: { type: "object" } }],
};

describe("results of tools", () => {
  it("keep images and failures on Bedrock", () => {
    const { json } = sent("Bedrock", "anthropic.claude-sonnet-4-5", "anthropic.messages", results);
    const blocks = list(list(json["messages"]).at(-1)?.["content"]);
    assert.deepEqual(own(blocks[0]?.["toolResult"])["content"], [
      { image: { format: "png", source: { bytes: "AA==" } } },
    ]);
    assert.equal(own(blocks[1]?.["toolResult"])["status"], "error");
    assert.equal(blocks[2]?.["text"], "What is it?");
  });

  for (const [model, within] of [
    ["gemini-3-pro", true],
    ["gemini-2.5-pro", false],
  ] as const) {
    it(`keep images and failures on ${model}`, () => {
      const { json } = sent("Gemini", model, "anthropic.messages", results);
      const answered = list(json["contents"]).find((content) => JSON.stringify(content).includes("functionResponse"));
      const [shot, failed] = list(answered?.["parts"]).map((part) => own(part["functionResponse"]));
      assert.deepEqual(own(failed?.["response"]), { error: "no screen" });
      assert.equal(JSON.stringify(shot).includes("inlineData"), within);
      assert.match(JSON.stringify(json), /inlineData/);
    });
  }

  it("move their images behind the turn's text where results are only text", () => {
    const { json, body } = sent("OpenAI", "gpt-4o", "anthropic.messages", results);
    const last = list(json["messages"]).at(-1);
    assert.deepEqual(
      list(last?.["content"]).map((part) => part["type"]),
      ["text", "image_url"],
    );
    assert.doesNotMatch(body, /is_error/);
  });
});

describe("a system message in mid-conversation", () => {
  const late: Json = {
    max_tokens: 10,
    system: "Rules",
    messages: [
      { role: "system", content: "More rules" },
      { role: "user", content: "Hi" },
      { role: "system", content: "Hurry." },
      { role: "assistant", content: "Yes?" },
      { role: "user", content: "Go" },
    ],
  };

  it("stays where it is on OpenAI", () => {
    const { json } = sent("OpenAI", "gpt-4o", "anthropic.messages", late);
    const roles = list(json["messages"]).map((message) => message["role"]);
    assert.deepEqual(roles, ["system", "system", "user", "system", "assistant", "user"]);
  });

  for (const type of ["OpenAICompatible", "Mistral", "Watsonx", "Cohere"]) {
    it(`joins the turn before it on ${type}, which has one at the beginning`, () => {
      const { json } = sent(type, "model-1", "anthropic.messages", late);
      const [system, user, ...rest] = list(json["messages"]);
      assert.equal(system?.["content"], "Rules\n\nMore rules");
      assert.equal(user?.["content"], "Hi\n\n<system>\nHurry.\n</system>");
      assert.deepEqual(
        rest.map((message) => message["role"]),
        ["assistant", "user"],
      );
    });
  }
});

describe("newer facts", () => {
  it("give Gemini the address of an image", () => {
    const { json } = sent("Gemini", "gemini-3-pro", "openai.chat", {
      messages: [
        { role: "user", content: [{ type: "image_url", image_url: { url: "https://example.com/a.png?x=1" } }] },
      ],
    });
    const [part] = list(list(json["contents"])[0]?.["parts"]);
    assert.deepEqual(part, { fileData: { fileUri: "https://example.com/a.png?x=1", mimeType: "image/png" } });
  });

  it("give Bedrock documents of more types", () => {
    const file = { filename: "a.csv", file_data: "data:text/csv;base64,YSxi" };
    const { json } = sent("Bedrock", "amazon.nova-pro", "openai.chat", {
      messages: [{ role: "user", content: [{ type: "file", file }] }],
    });
    const [block] = list(list(json["messages"])[0]?.["content"]);
    assert.equal(own(block?.["document"])["format"], "csv");
  });

  it("read the usage of watsonx's closing frame", () => {
    const { decoder } = sent("Watsonx", "model-1", "openai.chat", { messages: [{ role: "user", content: "Hi" }] });
    const chunk = (body: Json): string => JSON.stringify({ id: "c", model_id: "m", ...body });
    const said = chunk({ choices: [{ index: 0, delta: { content: "Hi" }, finish_reason: "stop" }] });
    const last = chunk({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 } });
    const text = `id: 1\nevent: message\ndata: ${said}\n\nid: 2\nevent: close\ndata: ${last}\n\nevent: close\ndata: {}\n\ndata: [DONE]\n\n`;
    const all = events(decoder(), Buffer.from(text));
    const usage = all.find((event) => event.kind === "usage");
    assert.equal(usage?.kind === "usage" ? usage.usage.prompt : null, 7);
    assert.equal(all.at(-1)?.kind, "end");
  });
});
