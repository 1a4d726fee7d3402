/**
 * The official SDKs, with a `fetch` that answers with what an encoder wrote: the SDKs' own stream code validates the
 * format.
 */
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import type { ChatRequest, StreamEvent } from "../../../proxy/dialects/canonical.ts";
import type { Dialect, ReplyContext } from "../../../proxy/dialects/dialect.ts";

export function contextOf(more: Partial<ReplyContext> = {}): ReplyContext {
  const request: ChatRequest = { model: "alias", messages: [{ role: "user", content: "Hi" }] };
  return { model: "alias", fallbackId: "req-1", createdSeconds: 1_700_000_000, includeUsage: true, request, ...more };
}

export function encodeAll(
  dialect: Dialect,
  events: readonly StreamEvent[],
  context: ReplyContext = contextOf(),
): string {
  const encoder = dialect.encoder(context);
  return events.map((event) => encoder.encode(event)).join("");
}

function answer(body: string | object, status = 200): typeof fetch {
  const stream = typeof body === "string";
  const headers = { "content-type": stream ? "text/event-stream" : "application/json", "x-should-retry": "false" };
  return () => Promise.resolve(new Response(stream ? body : JSON.stringify(body), { status, headers }));
}

export function openai(body: string | object, status?: number): OpenAI {
  return new OpenAI({ apiKey: "k", baseURL: "http://gateway.test/v1", fetch: answer(body, status), maxRetries: 0 });
}

export function anthropic(body: string | object, status?: number): Anthropic {
  return new Anthropic({ apiKey: "k", baseURL: "http://gateway.test", fetch: answer(body, status), maxRetries: 0 });
}

export const usage = { prompt: 20, cachedPrompt: 5, cacheWrite: 3, completion: 7, reasoning: 2, estimated: false };

/** Streams that every dialect's encoder must be able to write. */
export const streams = {
  plain: [
    { kind: "start", id: "up-1", model: "upstream" },
    { kind: "delta", choice: 0, delta: { role: "assistant", content: "" } },
    { kind: "delta", choice: 0, delta: { content: "Grüß " } },
    { kind: "ping" },
    { kind: "delta", choice: 0, delta: { content: "Gott 🎉" } },
    { kind: "finish", choice: 0, reason: "stop" },
    { kind: "usage", usage },
    { kind: "end" },
  ],
  tools: [
    { kind: "start", id: "up-2", model: "upstream" },
    { kind: "delta", choice: 0, delta: { content: "Let me see." } },
    {
      kind: "delta",
      choice: 0,
      delta: {
        tool_calls: [{ index: 0, id: "call_a", type: "function", function: { name: "weather", arguments: "" } }],
      },
    },
    { kind: "delta", choice: 0, delta: { tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] } },
    { kind: "delta", choice: 0, delta: { tool_calls: [{ index: 0, function: { arguments: '"Bern"}' } }] } },
    { kind: "finish", choice: 0, reason: "tool_calls" },
    { kind: "usage", usage },
    { kind: "end" },
  ],
  parallelTools: [
    { kind: "start", id: "up-3", model: "upstream" },
    {
      kind: "delta",
      choice: 0,
      delta: {
        tool_calls: [
          { index: 0, id: "call_a", type: "function", function: { name: "weather", arguments: '{"city":' } },
        ],
      },
    },
    {
      kind: "delta",
      choice: 0,
      delta: { tool_calls: [{ index: 1, id: "call_b", type: "function", function: { name: "time", arguments: "" } }] },
    },
    { kind: "delta", choice: 0, delta: { tool_calls: [{ index: 0, function: { arguments: '"Bern"}' } }] } },
    { kind: "delta", choice: 0, delta: { tool_calls: [{ index: 1, function: { arguments: '{"zone":"CET"}' } }] } },
    { kind: "finish", choice: 0, reason: "tool_calls" },
    { kind: "usage", usage },
    { kind: "end" },
  ],
  reasoning: [
    { kind: "start", id: "up-4", model: "upstream" },
    { kind: "delta", choice: 0, delta: { reasoning_content: "Hmm, " } },
    { kind: "delta", choice: 0, delta: { reasoning_content: "six times seven." } },
    {
      kind: "delta",
      choice: 0,
      delta: { thinking_blocks: [{ type: "thinking", thinking: "Hmm, six times seven.", signature: "sig" }] },
    },
    { kind: "delta", choice: 0, delta: { content: "42" } },
    { kind: "finish", choice: 0, reason: "length", native: "max_tokens" },
    { kind: "usage", usage },
    { kind: "end" },
  ],
} satisfies Record<string, StreamEvent[]>;
