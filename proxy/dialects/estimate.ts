/**
 * A cheap estimate of a prompt's length in tokens, without a tokenizer on the event loop: about four characters of
 * Latin script a token, about one of Chinese, Japanese or Korean, and a flat sum for an image.
 */
import type { ChatRequest, ContentPart } from "./canonical.ts";

const tokensPerMessage = 4;
/** What OpenAI charges for an image at high detail, about. */
const tokensPerImage = 765;
const wide = /[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]/g;

export function estimateTextTokens(text: string): number {
  const wideCount = text.match(wide)?.length ?? 0;
  return Math.ceil((text.length - wideCount) / 4 + wideCount);
}

function partTokens(part: ContentPart): number {
  if (part.type === "text") return estimateTextTokens(part.text);
  return part.type === "image_url" ? tokensPerImage : tokensPerMessage;
}

function contentTokens(content: ChatRequest["messages"][number]["content"]): number {
  if (typeof content === "string") return estimateTextTokens(content);
  return Array.isArray(content) ? content.reduce((sum, part) => sum + partTokens(part), 0) : 0;
}

export function estimatePromptTokens(request: ChatRequest): number {
  let tokens = request.tools ? estimateTextTokens(JSON.stringify(request.tools)) : 0;
  for (const message of request.messages) {
    tokens += tokensPerMessage + contentTokens(message.content);
    if (message.tool_calls) tokens += estimateTextTokens(JSON.stringify(message.tool_calls));
  }
  return tokens;
}
