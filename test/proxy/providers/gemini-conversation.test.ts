import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ChatMessage } from "../../../proxy/dialects/canonical.ts";
import {
  escapeSignature,
  maxIdLength,
  randomCallId,
  withoutSignature,
  withSignature,
} from "../../../proxy/providers/gemini/signature.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import fc from "../../harness/property.ts";
import { type Setting, hello as user } from "./drive.ts";
import { asked, bodyOf } from "./gemini-call.ts";

const contentsOf = (messages: ChatMessage[], setting?: Setting): unknown => bodyOf({ messages }, setting)["contents"];

describe("a conversation for Gemini", () => {
  test("merges consecutive messages of a role, with images, audio and files", () => {
    const contents = contentsOf([
      user,
      {
        role: "user",
        content: [
          { type: "text", text: "" },
          { type: "image_url", image_url: { url: "data:image/jpg;base64,AAAA" } },
          { type: "input_audio", input_audio: { data: "BBBB", format: "wav" } },
          { type: "file", file: { file_data: "data:application/pdf;base64,CCCC" } },
        ],
      },
      { role: "assistant", content: "Yes.", refusal: null },
      { role: "assistant", content: null, refusal: "No." },
    ]);
    assert.deepEqual(contents, [
      {
        role: "user",
        parts: [
          { text: "Hi" },
          { inlineData: { mimeType: "image/jpeg", data: "AAAA" } },
          { inlineData: { mimeType: "audio/wav", data: "BBBB" } },
          { inlineData: { mimeType: "application/pdf", data: "CCCC" } },
        ],
      },
      { role: "model", parts: [{ text: "Yes." }, { text: "No." }] },
    ]);
  });

  test("names results after their calls and puts them in the order of the calls, apart from text", () => {
    const contents = contentsOf([
      user,
      {
        role: "assistant",
        content: "Let me see.",
        tool_calls: [asked("a", "weather", '{"city":"Bern"}'), asked("b", "now", "")],
      },
      { role: "tool", tool_call_id: "b", content: [{ type: "text", text: "noon" }] },
      { role: "tool", tool_call_id: "a", content: '{"sky":"blue"}' },
      { role: "user", content: "And?" },
    ]);
    assert.deepEqual(contents, [
      { role: "user", parts: [{ text: "Hi" }] },
      {
        role: "model",
        parts: [
          { text: "Let me see." },
          { functionCall: { id: "a", name: "weather", args: { city: "Bern" } } },
          { functionCall: { id: "b", name: "now", args: {} } },
        ],
      },
      {
        role: "user",
        parts: [
          { functionResponse: { id: "a", name: "weather", response: { sky: "blue" } } },
          { functionResponse: { id: "b", name: "now", response: { output: "noon" } } },
        ],
      },
      { role: "user", parts: [{ text: "And?" }] },
    ]);
  });

  test("pairs ids that a client reuses in the next turn, and within a turn", () => {
    const turn = (first: string, second: string): ChatMessage[] => [
      { role: "assistant", tool_calls: [asked("x", "now", ""), asked("x", "weather", "{}")] },
      { role: "tool", tool_call_id: "x", content: first },
      { role: "tool", tool_call_id: "x", content: second },
    ];
    const contents = contentsOf([user, ...turn("1", "2"), ...turn("3", "4")]) as { parts: JsonObject[] }[];
    const responses = contents.flatMap(({ parts }) =>
      parts.flatMap((part) => (part["functionResponse"] ? [part["functionResponse"]] : [])),
    );
    assert.deepEqual(
      responses,
      ["1", "2", "3", "4"].map((output, index) => ({
        id: "x",
        name: index % 2 === 0 ? "now" : "weather",
        response: { output },
      })),
    );
  });

  const signed = withSignature("call_1", "c2lnbmVk");
  const replay = (id: string, second = "b"): ChatMessage[] => [
    user,
    { role: "assistant", tool_calls: [asked(id, "now", ""), asked(second, "now", "")] },
  ];
  const signatures: Record<string, [ChatMessage[], string, (string | undefined)[]]> = {
    "goes back where it came with": [replay(signed), "gemini-3-flash", ["c2lnbmVk", undefined]],
    "goes back to older models too": [replay(signed), "gemini-2.5-flash", ["c2lnbmVk", undefined]],
    "is replaced on the first call where it is lost": [
      replay("toolu_1"),
      "gemini-3-flash",
      [escapeSignature, undefined],
    ],
    "of a later call doesn't stand in for the first": [
      replay("a", signed),
      "gemini-3-flash",
      [escapeSignature, "c2lnbmVk"],
    ],
    "is not missed by older models": [replay("toolu_1"), "gemini-2.5-flash", [undefined, undefined]],
  };
  for (const [name, [messages, model, expected]] of Object.entries(signatures)) {
    test(`a signature ${name}`, () => {
      const contents = contentsOf(messages, { upstream: model }) as {
        parts: { functionCall: { id: string }; thoughtSignature?: string }[];
      }[];
      assert.deepEqual(
        contents.at(-1)?.parts.map((part) => part.thoughtSignature),
        expected,
      );
      assert.ok(contents.at(-1)?.parts.every((part) => !part.functionCall.id.includes("__thought__")));
    });
  }
});

describe("a thought signature in an id", () => {
  test("is restored whatever it is, and the id matches every provider's pattern", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ minLength: 1, unit: "grapheme" }), fc.base64String({ minLength: 4 })),
        (signature) => {
          fc.pre(signature.isWellFormed());
          const id = withSignature("call_1", signature);
          assert.match(id, /^[A-Za-z0-9_-]+$/);
          assert.deepEqual(withoutSignature(id), { id: "call_1", signature });
        },
      ),
    );
  });

  test("other ids stay unchanged", () => {
    for (const id of ["", "call_1", "__thought__bAA", "x__thought__", "x__thought__z9", "x__thought__b!"])
      assert.deepEqual(withoutSignature(id), { id, signature: null });
  });

  test("is dropped if it is too long", () => {
    assert.equal(withSignature("call_1", "A".repeat(maxIdLength)), "call_1");
    assert.equal(withSignature("call_1", ""), "call_1");
  });

  test("new ids fit OpenAI's limit of 40 characters", () => assert.match(randomCallId(), /^call_[0-9a-f]{32}$/));
});
