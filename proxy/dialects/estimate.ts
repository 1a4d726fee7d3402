/**
 * Estimates how many tokens a prompt has, for reservations before a call and for `count_tokens`. No tokenizer may be
 * available, and none may block the event loop. Assumes four characters per token, as OpenAI states for English
 * (https://help.openai.com/en/articles/4936856), and one token per character for the scripts from CJK up. Meant to be
 * within a third for prose; the provider's own count replaces it.
 */
import type { ChatMessage, ChatRequest, ContentPart } from "./canonical.ts";

/** About what OpenAI and Anthropic charge for an image of about one megapixel. */
const imageTokens = 1_200;
/** A minute of speech is about 600 tokens at OpenAI. Its length is unknown without decoding. */
const audioTokens = 600;
/** A few pages. Base64 doesn't count as text. */
const fileTokens = 3_000;
/** Role and separators. */
const messageTokens = 4;
/** From here on (Hangul Jamo, CJK, kana, emoji), a UTF-16 unit costs about one token. */
const wideFrom = 0x1100;
/** Longer texts are sampled. */
const sampleLength = 4_096;

/** Characters from `wideFrom` on. V8 doesn't search a text of one byte a character for them. */
const anyWide = /[\u1100-\uffff]/;

function wideCharacters(text: string): number {
  if (!anyWide.test(text)) return 0;
  let wide = 0;
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) >= wideFrom) wide++;
  return wide;
}

/** Tokens of a text. */
export function estimateTextTokens(text: string): number {
  if (text.length <= sampleLength) return weigh(text.length, wideCharacters(text));
  const middle = (text.length - sampleLength) >> 1;
  const share = wideCharacters(text.slice(middle, middle + sampleLength)) / sampleLength;
  return weigh(text.length, text.length * share);
}

const weigh = (length: number, wide: number): number => Math.ceil((length - wide) / 4 + wide);

const partTokens: Readonly<Record<ContentPart["type"], (part: never) => number>> = {
  text: (part: Extract<ContentPart, { type: "text" }>) => estimateTextTokens(part.text),
  refusal: (part: Extract<ContentPart, { type: "refusal" }>) => estimateTextTokens(part.refusal),
  image_url: () => imageTokens,
  input_audio: () => audioTokens,
  file: () => fileTokens,
};

function contentTokens(content: ChatMessage["content"]): number {
  if (content === undefined || content === null) return 0;
  if (typeof content === "string") return estimateTextTokens(content);
  return content.reduce((sum, part) => sum + partTokens[part.type](part as never), 0);
}

function callTokens(message: ChatMessage): number {
  return (message.tool_calls ?? []).reduce(
    (sum, call) => sum + estimateTextTokens(call.function.name) + estimateTextTokens(call.function.arguments),
    0,
  );
}

/** Prompt tokens of a decoded request: messages, tools and schema. */
export function estimatePromptTokens(request: ChatRequest): number {
  let tokens = 0;
  for (const message of request.messages)
    tokens += messageTokens + contentTokens(message.content) + callTokens(message);
  if (request.tools) tokens += estimateTextTokens(JSON.stringify(request.tools));
  if (request.response_format?.type === "json_schema")
    tokens += estimateTextTokens(JSON.stringify(request.response_format.json_schema));
  return tokens;
}
