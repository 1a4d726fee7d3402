/** Pictures that Gemini's models answer with, whole and streamed, in OpenAI-compatible chats. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { dialect } from "../../../proxy/dialects/openai-chat/index.ts";
import { translatingReader } from "../../../proxy/pipeline/reader.ts";
import type { Json } from "../../harness/strict/json.ts";
import { contextOf } from "../dialects/sdk.ts";
import { call } from "./gemini-call.ts";

const png = { inlineData: { mimeType: "image/png", data: "iVBO" } };
const shown = { type: "image_url", image_url: { url: "data:image/png;base64,iVBO" } };

const rows: Record<string, { parts: Json[]; images: unknown[]; content: string }> = {
  "a picture": { parts: [png], images: [shown], content: "" },
  "a text and pictures": { parts: [{ text: "Here: " }, png, png], images: [shown, shown], content: "Here: " },
  "a draft made while thinking": { parts: [{ ...png, thought: true }, { text: "x" }], images: [], content: "x" },
  "data of another type": {
    parts: [{ inlineData: { mimeType: "audio/wav", data: "UklG" } }, { text: "x" }],
    images: [],
    content: "x",
  },
  "a picture without data": {
    parts: [{ inlineData: { mimeType: "image/png" } }, { text: "x" }],
    images: [],
    content: "x",
  },
};

const answer = (parts: Json[]): Json => ({
  candidates: [{ content: { role: "model", parts }, finishReason: "STOP" }],
  usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
});

interface Message {
  content?: string;
  images?: unknown[];
}

describe("a picture in Gemini's answer", () => {
  for (const [name, { parts, images, content }] of Object.entries(rows)) {
    it(`reaches a chat: ${name}`, () => {
      const reply = call().decodeReply(answer(parts), {});
      assert.ok("choices" in reply, JSON.stringify(reply));
      const [choice] = dialect.encodeReply(reply, contextOf())["choices"] as { message: Message }[];
      assert.deepEqual(choice?.message.images ?? [], images);
      assert.equal(choice?.message.content, content);
    });

    it(`reaches a streamed chat: ${name}`, () => {
      const reader = translatingReader(call({}, { stream: true }).decoder(), dialect.encoder(contextOf()));
      const frames = parts.map((part) => `data: ${JSON.stringify(answer([part]))}\n\n`).join("");
      const steps = [reader.push(Buffer.from(frames)), reader.close()];
      assert.deepEqual(
        steps.map((step) => step.error),
        [null, null],
      );
      const deltas = steps
        .map((step) => String(step.out))
        .join("")
        .split("\n")
        .filter((line) => line.startsWith("data: {"))
        .flatMap((line) => (JSON.parse(line.slice(6)) as { choices: { delta: Message }[] }).choices)
        .map((choice) => choice.delta);
      assert.deepEqual(
        deltas.flatMap((delta) => delta.images ?? []),
        images,
      );
      assert.equal(deltas.map((delta) => delta.content ?? "").join(""), content);
    });
  }
});
