/** Makes a conversation with other providers acceptable to Anthropic, where a Messages body passes through. Pure. */
import { noText } from "../../dialects/citations.ts";
import { isMadeSearch } from "../../dialects/web-search.ts";
import { isObject, type JsonObject } from "../../wire/json.ts";
import { boundedId } from "../bounds.ts";
import { isSigned } from "./blocks.ts";
import { capabilities } from "./capabilities.ts";

const none: Readonly<Record<string, unknown>> = {};
const idRule = capabilities.bounds?.callId;

/** Members that hold the id of a tool call, by type of block. */
const idMembers: Readonly<Record<string, string>> = { tool_use: "id", tool_result: "tool_use_id" };

/** Reasoning of another provider: the gateway gave it no signature, and Anthropic refuses it. */
const isUnsigned = (block: JsonObject): boolean => block["type"] === "thinking" && !isSigned(block);

/** Pictures of other providers' models, of which Claude makes none, and their searches. */
const isForeign = (block: JsonObject, role: unknown): boolean =>
  isUnsigned(block) || isMadeSearch(block) || (role === "assistant" && block["type"] === "image");

/** What other providers' models cited: Anthropic wants its own copy of the page's text. */
function withOwnCitations(block: JsonObject): JsonObject {
  const { citations, ...rest } = block;
  if (!Array.isArray(citations)) return block;
  const own = citations.filter((citation: unknown) => !isObject(citation) || citation["encrypted_index"] !== noText);
  if (own.length === citations.length) return block;
  return own.length === 0 ? rest : { ...rest, citations: own };
}

function mendedBlock(block: unknown): unknown {
  if (!isObject(block)) return block;
  if (block["type"] === "text") return withOwnCitations(block);
  const member = idMembers[String(block["type"])];
  const id = member === undefined ? undefined : block[member];
  if (member === undefined || typeof id !== "string" || idRule === undefined) return block;
  const own = boundedId(id, idRule);
  return own === id ? block : { ...block, [member]: own };
}

/** The message itself if nothing changes; null if nothing is left. */
function mendedMessage(message: unknown): unknown {
  if (!isObject(message) || !Array.isArray(message["content"])) return message;
  const blocks = message["content"] as unknown[];
  const kept = blocks.filter((block) => !isObject(block) || !isForeign(block, message["role"]));
  if (kept.length === 0 && blocks.length > 0) return null;
  const content = kept.map(mendedBlock);
  const changed = content.length !== blocks.length || content.some((block, index) => block !== blocks[index]);
  return changed ? { ...message, content } : message;
}

/** Edits of a Messages body; empty if nothing changes. */
export function messagesEdits({ messages }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (!Array.isArray(messages)) return none;
  const given = messages as unknown[];
  const mended = given.map(mendedMessage).filter((message) => message !== null);
  const changed = mended.length !== given.length || mended.some((message, index) => message !== given[index]);
  return changed ? { messages: mended } : none;
}
