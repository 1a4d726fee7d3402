/**
 * Forms that clients of gateways in OpenAI's format write → canonical ones: videos
 * (https://docs.vllm.ai/en/latest/features/multimodal_inputs.html), which become files; reasoning among an assistant's
 * content parts; cache marks within a tool's function, and its members without a value.
 */
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import type { ChatMessage, ChatRequest, ContentPart, FunctionTool } from "../canonical.ts";

const kinds: ReadonlySet<unknown> = new Set(["thinking", "redacted_thinking"]);
export const isReasoning = (part: unknown): boolean => isObject(part) && kinds.has(part["type"]);

const filled = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

/** In Anthropic's form; null if a provider of its models would refuse it. */
function signedBlock(part: JsonObject): JsonObject | null {
  if (part["type"] === "redacted_thinking") {
    const data = filled(part["data"]) ?? filled(part["redacted_content"]);
    return data === null ? null : { type: "redacted_thinking", data };
  }
  const signature = filled(part["signature"]);
  return signature === null ? null : { type: "thinking", thinking: textOf(part), signature };
}

const textOf = (part: JsonObject): string => filled(part["thinking"]) ?? filled(part["text"]) ?? "";

function withoutParts(message: ChatMessage): ChatMessage {
  const { content } = message;
  if (message.role !== "assistant" || !Array.isArray(content) || !content.some(isReasoning)) return message;
  const reasoning = objectsIn(content).filter(isReasoning);
  const rest: ContentPart[] = content.filter((part) => !isReasoning(part));
  const signed = reasoning.map(signedBlock).filter((block) => block !== null);
  const unsigned = reasoning
    .filter((part) => signedBlock(part) === null)
    .map(textOf)
    .join("");
  return {
    ...message,
    content: rest.length > 0 ? rest : null,
    ...(signed.length > 0 ? { thinking_blocks: [...(message.thinking_blocks ?? []), ...signed] } : {}),
    ...(unsigned === "" ? {} : { reasoning_content: (message.reasoning_content ?? "") + unsigned }),
  };
}

/** Of OpenRouter's `reasoning_details` (https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks). */
function detailBlock(detail: JsonObject): JsonObject | null {
  const maker = filled(detail["format"]);
  if (maker !== null && !maker.startsWith("anthropic")) return null;
  return signedBlock({ ...detail, type: detail["type"] === "reasoning.encrypted" ? "redacted_thinking" : "thinking" });
}

/** Reasoning as OpenRouter and newer servers name it, unless it is also there under the usual names. */
function withUsualNames(message: ChatMessage): ChatMessage {
  const { reasoning, reasoning_details: given, ...rest } = message;
  if (message.role !== "assistant" || (reasoning === undefined && given === undefined)) return message;
  const details = objectsIn(given);
  const signed = details.map(detailBlock).filter((block) => block !== null);
  const text =
    filled(reasoning) ?? details.map((detail) => textOf(detail) || (filled(detail["summary"]) ?? "")).join("");
  return {
    ...rest,
    ...(signed.length > 0 && rest.thinking_blocks === undefined ? { thinking_blocks: signed } : {}),
    ...(signed.length === 0 && text !== "" && rest.reasoning_content == null ? { reasoning_content: text } : {}),
  };
}

const isVideo = (part: unknown): boolean => isObject(part) && part["type"] === "video_url";

function videoFile(part: ContentPart): ContentPart {
  if (!isVideo(part)) return part;
  const { video_url: video } = part as unknown as { video_url: { url: string } };
  return { type: "file", file: { file_data: video.url } };
}

function withFiles(message: ChatMessage): ChatMessage {
  const { content } = message;
  return Array.isArray(content) && content.some(isVideo) ? { ...message, content: content.map(videoFile) } : message;
}

function withMark(tool: FunctionTool): FunctionTool {
  const { cache_control: mark, ...fn } = tool.function as FunctionTool["function"] & { cache_control?: unknown };
  return isObject(mark) ? { ...tool, function: fn, cache_control: tool.cache_control ?? mark } : tool;
}

/** Members without a value are left out: other APIs refuse `null`. */
function withoutNulls(tool: FunctionTool): FunctionTool {
  const entries = Object.entries(tool.function);
  if (entries.every(([, value]) => value !== null)) return tool;
  return { ...tool, function: Object.fromEntries(entries.filter(([, value]) => value !== null)) as { name: string } };
}

/** The list itself if nothing in it changes. */
function changed<Item>(items: Item[], change: (item: Item) => Item): Item[] {
  return items.some((item) => change(item) !== item) ? items.map(change) : items;
}

export function withCanonicalMembers(request: ChatRequest): ChatRequest {
  const messages = changed(request.messages, (message) => withFiles(withoutParts(withUsualNames(message))));
  const tools = Array.isArray(request.tools)
    ? changed(request.tools, (tool) => withoutNulls(withMark(tool)))
    : request.tools;
  if (messages === request.messages && tools === request.tools) return request;
  return { ...request, messages, ...(tools === undefined ? {} : { tools }) };
}
