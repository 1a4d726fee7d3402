/** A chat's stream as OpenAI sends it: 50 chunks with content, then the finish reason, the usage and the end. */
import { Buffer } from "node:buffer";

const chunks = 50;

const frame = (delta: object, finish: string | null, more: object = {}): Buffer => {
  const body = { id: "chatcmpl-bench", object: "chat.completion.chunk", created: 1, model: "gpt-4o-2024-08-06" };
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: finish }];
  return Buffer.from(`data: ${JSON.stringify({ ...body, choices, ...more })}\n\n`);
};

export const streamFrames: readonly Buffer[] = [
  frame({ role: "assistant", content: "" }, null),
  ...Array.from({ length: chunks }, () => frame({ content: " lorem" }, null)),
  frame({}, "stop"),
  frame({}, null, { choices: [], usage: { prompt_tokens: 200, completion_tokens: chunks, total_tokens: 250 } }),
  Buffer.from("data: [DONE]\n\n"),
];
