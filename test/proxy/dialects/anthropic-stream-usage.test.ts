/** Usage in the streams of Messages: an estimate of the prompt first, and the provider's counts at the end. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { dialect } from "../../../proxy/dialects/anthropic-messages/index.ts";
import type { StreamEvent, Usage } from "../../../proxy/dialects/canonical.ts";
import { contextOf } from "./sdk.ts";

interface Shown {
  type: string;
  message?: { usage: Record<string, number> };
  usage?: Record<string, number>;
}

const usage: Usage = { prompt: 90, cachedPrompt: 30, cacheWrite: 20, completion: 7, reasoning: 0, estimated: false };
const reported = { input_tokens: 40, cache_creation_input_tokens: 20, cache_read_input_tokens: 30, output_tokens: 7 };
const prompt = "a".repeat(400);
/** Four characters for a token, and the message's own. */
const estimated = {
  input_tokens: 104,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: 0,
};

const text: StreamEvent = { kind: "delta", choice: 0, delta: { content: "x" } };
const finish: StreamEvent = { kind: "finish", choice: 0, reason: "stop" };
const counts: StreamEvent = { kind: "usage", usage };
const end: StreamEvent = { kind: "end" };

const rows: Record<string, { events: StreamEvent[]; first: object; last: object }> = {
  "counts at the end": { events: [text, finish, counts, end], first: estimated, last: reported },
  "counts before the answer": { events: [counts, text, finish, end], first: reported, last: reported },
  "no counts": { events: [text, finish, end], first: estimated, last: estimated },
  "no content": { events: [finish, counts, end], first: reported, last: reported },
};

describe("usage in a Messages stream", () => {
  for (const [name, { events, first, last }] of Object.entries(rows))
    it(name, () => {
      const request = { model: "m", messages: [{ role: "user" as const, content: prompt }] };
      const encoder = dialect.encoder({ ...contextOf(), request });
      const shown = events
        .map((event) => encoder.encode(event))
        .join("")
        .split("\n")
        .filter((line) => line.startsWith("data: "))
        .map((line) => JSON.parse(line.slice(6)) as Shown);
      assert.deepEqual(shown.find((event) => event.type === "message_start")?.message?.usage, first);
      assert.deepEqual(shown.find((event) => event.type === "message_delta")?.usage, last);
    });
});
