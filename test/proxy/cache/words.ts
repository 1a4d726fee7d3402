/** Embeddings that a test can reckon: one dimension for each word. And answers that say which question they are to. */
import type { ServerResponse } from "node:http";
import { type Answer, chatFrames, json, type UpstreamRequest, usage } from "../../harness/upstream.ts";

const dimensions: string[] = [];

/** The cosine of two texts of n different words each that share k is k/n. */
export function vectorOf(text: string): number[] {
  const vector = new Array<number>(64).fill(0);
  for (const word of text.toLowerCase().match(/\w+/g) ?? []) {
    if (!dimensions.includes(word)) dimensions.push(word);
    vector[dimensions.indexOf(word) % 64] = 1;
  }
  return vector;
}

export const embeddings: Answer = (request, response) => {
  const inputs = Array.isArray(request.json["input"]) ? request.json["input"] : [request.json["input"]];
  const data = inputs.map((text, index) => ({ object: "embedding", index, embedding: vectorOf(String(text)) }));
  json(response, 200, {
    object: "list",
    model: request.json["model"],
    data,
    usage: { prompt_tokens: 5, total_tokens: 5 },
  });
};

const textOf = (content: unknown): string => (typeof content === "string" ? content : JSON.stringify(content));

/** Says what was asked last. */
export const echo = (request: UpstreamRequest, response: ServerResponse): void => {
  const messages = request.json["messages"] as { content: unknown }[];
  const content = `to: ${textOf(messages.at(-1)?.content)}`;
  if (request.json["stream"] === true) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const frame of chatFrames(request.json["model"], [content], true)) response.write(frame);
    response.end();
    return;
  }
  const choices = [
    { index: 0, message: { role: "assistant", content, refusal: null }, logprobs: null, finish_reason: "stop" },
  ];
  json(response, 200, {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1,
    model: request.json["model"],
    choices,
    usage,
  });
};
