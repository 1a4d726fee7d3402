import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ChatMessage, type ChatRequest, isRefusal } from "../../../proxy/dialects/canonical.ts";
import { provider } from "../../../proxy/providers/gemini/index.ts";
import { modelPath } from "../../../proxy/providers/gemini/request.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import { accountOf, call as drive, type Setting, hello as user } from "./drive.ts";
import { asked, bodyOf, call, geminiSetting, says } from "./gemini-call.ts";

const weather = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools: ChatRequest["tools"] = [
  { type: "function", function: { name: "weather", description: "Tells the weather.", parameters: weather } },
  { type: "function", function: { name: "now" } },
];

describe("where a Gemini call goes", () => {
  test("a plain call and a stream have different paths", () => {
    assert.equal(call().path, "/v1beta/models/gemini-2.5-flash:generateContent");
    assert.equal(call({}, { stream: true }).path, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
  });

  const names: Record<string, string> = {
    "models/gemini-2.5-pro": "models/gemini-2.5-pro",
    "tunedModels/mine": "tunedModels/mine",
    "a/b?c": "models/a%2Fb%3Fc",
  };
  for (const [name, path] of Object.entries(names))
    test(`${name} is one segment of the path`, () => assert.equal(modelPath(name), path));

  test("the key goes in a header", () => {
    const outgoing = { method: "POST" as const, path: "/x", headers: {}, body: null };
    const sent = provider.authorize(outgoing, accountOf({ credentials: { apiKey: "secret-key" } }), {} as never);
    assert.deepEqual(sent, { ...outgoing, headers: { "x-goog-api-key": "secret-key" } });
  });
});

describe("a chat request for Gemini", () => {
  const mapped: Record<string, [Partial<ChatRequest>, JsonObject, Setting?]> = {
    "sampling parameters": [
      {
        temperature: 1.5,
        top_p: 0.5,
        n: 2,
        seed: 7,
        presence_penalty: 0.1,
        frequency_penalty: 0.2,
        max_tokens: 10,
        stop: "END",
      },
      {
        generationConfig: {
          temperature: 1.5,
          topP: 0.5,
          candidateCount: 2,
          seed: 7,
          presencePenalty: 0.1,
          frequencyPenalty: 0.2,
          maxOutputTokens: 10,
          stopSequences: ["END"],
        },
      },
    ],
    "max_completion_tokens before max_tokens": [
      { max_completion_tokens: 5, max_tokens: 9 },
      { generationConfig: { maxOutputTokens: 5 } },
    ],
    logprobs: [{ logprobs: true, top_logprobs: 3 }, { generationConfig: { responseLogprobs: true, logprobs: 3 } }],
    json_object: [
      { response_format: { type: "json_object" } },
      { generationConfig: { responseMimeType: "application/json" } },
    ],
    json_schema: [
      { response_format: { type: "json_schema", json_schema: { name: "w", schema: weather } } },
      { generationConfig: { responseMimeType: "application/json", responseJsonSchema: weather } },
    ],
    "json_schema reduced": [
      { response_format: { type: "json_schema", json_schema: { name: "w", schema: weather } } },
      {
        generationConfig: {
          responseMimeType: "application/json",
          responseSchema: { type: "OBJECT", properties: { city: { type: "STRING" } }, required: ["city"] },
        },
      },
      { options: { schemas: "OpenApi" } },
    ],
    tools: [
      { tools },
      {
        tools: [
          {
            functionDeclarations: [
              { name: "weather", description: "Tells the weather.", parametersJsonSchema: weather },
              { name: "now" },
            ],
          },
        ],
      },
    ],
    "the choice required": [
      { tools, tool_choice: "required" },
      { toolConfig: { functionCallingConfig: { mode: "ANY" } } },
    ],
    "the choice none": [
      { tools, tool_choice: "none", parallel_tool_calls: false },
      { toolConfig: { functionCallingConfig: { mode: "NONE" } } },
    ],
    "the choice auto": [
      { tools, tool_choice: "auto", parallel_tool_calls: true },
      { toolConfig: { functionCallingConfig: { mode: "AUTO" } } },
    ],
    "a named choice": [
      { tools, tool_choice: { type: "function", function: { name: "now" } } },
      { toolConfig: { functionCallingConfig: { mode: "ANY", allowedFunctionNames: ["now"] } } },
    ],
    "system and developer messages": [
      says({ role: "system", content: "Be brief." }, user, {
        role: "developer",
        content: [{ type: "text", text: "Be kind." }],
      }),
      {
        systemInstruction: { parts: [{ text: "Be brief." }, { text: "Be kind." }] },
        contents: [{ role: "user", parts: [{ text: "Hi" }] }],
      },
    ],
    "nothing but a system message": [
      says({ role: "system", content: "Go." }),
      { contents: [{ role: "user", parts: [{ text: " " }] }] },
    ],
  };
  for (const [name, [given, expected, how]] of Object.entries(mapped)) {
    test(`maps ${name}`, () => assert.partialDeepStrictEqual(bodyOf(given, how), expected));
  }

  test("without parameters has only contents", () => {
    assert.deepEqual(bodyOf({ stream: false, stop: null, tools: null, response_format: { type: "text" } }), {
      contents: [{ role: "user", parts: [{ text: "Hi" }] }],
    });
  });

  const thoughts: Record<string, [string, string, JsonObject, Record<string, string>?]> = {
    "2.5 Flash, high": ["gemini-2.5-flash", "high", { thinkingBudget: 24_576, includeThoughts: true }],
    "2.5 Flash, medium": ["models/gemini-2.5-flash", "medium", { thinkingBudget: 8_192, includeThoughts: true }],
    "2.5 Flash, none": ["gemini-2.5-flash", "none", { thinkingBudget: 0, includeThoughts: false }],
    "2.5 Pro, none": ["gemini-2.5-pro", "none", { thinkingBudget: 128, includeThoughts: false }],
    "a name without version": ["gemini-flash-latest", "low", { thinkingBudget: 1_024, includeThoughts: true }],
    "3 Flash, minimal": ["gemini-3-flash-preview", "minimal", { thinkingLevel: "minimal", includeThoughts: true }],
    "3 Pro, minimal": ["gemini-3-pro-preview", "minimal", { thinkingLevel: "low", includeThoughts: true }],
    "3 Pro, medium": ["gemini-3-pro-preview", "medium", { thinkingLevel: "high", includeThoughts: true }],
    "3.1 Pro, medium": ["gemini-3.1-pro", "medium", { thinkingLevel: "medium", includeThoughts: true }],
    "4, max": ["gemini-4-flash", "max", { thinkingLevel: "high", includeThoughts: true }],
    "an option against the name": [
      "gemini-2.5-flash",
      "low",
      { thinkingLevel: "low", includeThoughts: true },
      { thinking: "Level" },
    ],
  };
  for (const [name, [upstream, effort, thinkingConfig, options = {}]] of Object.entries(thoughts)) {
    test(`maps reasoning_effort for ${name}`, () => {
      assert.deepEqual(bodyOf({ reasoning_effort: effort }, { upstream, options })["generationConfig"], {
        thinkingConfig,
      });
    });
  }

  test("reports what it drops", () => {
    const made = call(
      {
        messages: [
          {
            role: "user",
            name: "ann",
            content: [{ type: "image_url", image_url: { url: "data:image/jpg;base64,AAAA", detail: "low" } }],
          },
        ],
        tools: [{ type: "function", function: { name: "weather", parameters: weather, strict: true } }],
        logit_bias: { "1": 2 },
        user: "u",
        metadata: {},
        store: false,
        prediction: { type: "content" },
        reasoning_effort: "high",
      },
      { upstream: "gemini-2.0-flash" },
    );
    assert.deepEqual(made.dropped.sort(), [
      "image_url.detail",
      "logit_bias",
      "messages.name",
      "prediction",
      "reasoning_effort",
      "tools.strict",
      "user",
    ]);
    assert.ok(!("generationConfig" in (JSON.parse(made.body) as JsonObject)));
  });

  const image = (url: string): ChatMessage => ({ role: "user", content: [{ type: "image_url", image_url: { url } }] });
  const refused: Record<string, [Partial<ChatRequest>, string, Setting?]> = {
    ...Object.fromEntries(
      [
        "https://generativelanguage.googleapis.com/v1beta/files/abc",
        "https://generativelanguage.googleapis.com:443//v1/files/abc?alt=media",
        "HTTPS://user@GENERATIVELANGUAGE.googleapis.com./v1beta/files/abc",
        "https://%67enerativelanguage.googleapis.com/v1beta/%66iles/abc",
        "gs://bucket/of-another-tenant.png",
      ].map((url) => [`a file of the account: ${url}`, [says(image(url)), "messages[0].content[0].image_url.url"]]),
    ),
    "a data URI without base64": [says(image("data:image/png,abc")), "messages[0].content[0].image_url.url"],
    "audio of another kind": [
      says({ role: "user", content: [{ type: "input_audio", input_audio: { data: "AA", format: "flac" } }] }),
      "messages[0].content[0].input_audio.format",
    ],
    "a file by id": [
      says({ role: "user", content: [{ type: "file", file: { file_id: "file-1" } }] }),
      "messages[0].content[0].file",
    ],
    "an image in a system message": [
      says({ ...image("data:image/png;base64,AA"), role: "system" }),
      "messages[0].content[0]",
    ],
    "a function message": [says(user, { role: "function", name: "f", content: "" }), "messages[1].role"],
    "a result without its call": [
      says(user, { role: "tool", tool_call_id: "x", content: "1" }),
      "messages[1].tool_call_id",
    ],
    "a result given twice": [
      says(
        { role: "assistant", tool_calls: [asked("a", "now", "")] },
        { role: "tool", tool_call_id: "a", content: "1" },
        { role: "tool", tool_call_id: "a", content: "2" },
      ),
      "messages[2].tool_call_id",
    ],
    "arguments that are no object": [
      says({ role: "assistant", tool_calls: [asked("a", "now", "[1]")] }),
      "messages[0].tool_calls[0].function.arguments",
    ],
    "arguments nested without end": [
      says({ role: "assistant", tool_calls: [asked("a", "now", `{"a":${"[".repeat(9_000)}${"]".repeat(9_000)}}`)] }),
      "messages[0].tool_calls[0].function.arguments",
    ],
    "a choice that isn't there": [{ tools, tool_choice: { type: "function", function: { name: "x" } } }, "tool_choice"],
    "a call without tools": [{ tool_choice: "required" }, "tool_choice"],
    "six stops": [{ stop: ["1", "2", "3", "4", "5", "6"] }, "stop"],
    "an unknown effort": [{ reasoning_effort: "extreme" }, "reasoning_effort"],
    "a schema that contains itself": [
      {
        response_format: {
          type: "json_schema",
          json_schema: { name: "t", schema: { type: "object", properties: { next: { $ref: "#" } } } },
        },
      },
      "response_format.json_schema.schema",
      { options: { schemas: "OpenApi" } },
    ],
  };
  for (const [name, [given, param, setting]] of Object.entries(refused)) {
    test(`refuses ${name}`, () => {
      const made = drive(provider, given, geminiSetting(setting));
      assert.ok(isRefusal(made));
      assert.equal(made.param, param);
    });
  }
});
