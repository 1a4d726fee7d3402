/**
 * Makes a Responses conversation with other providers acceptable to OpenAI, where the body passes through. Items that
 * the gateway made don't exist at OpenAI, so their ids and references to them are left out. Pure.
 */
import { isGatewaysItem, isGatewaysThinking } from "../../dialects/openai-responses/made-items.ts";
import { isObject, type JsonObject } from "../../wire/json.ts";
import { boundedId } from "../bounds.ts";

const none: Readonly<Record<string, unknown>> = {};

const idRule = { characters: "A-Za-z0-9_-", longest: 64 };

/** Reasoning and searches of another provider are useless to OpenAI, and a reference to what it doesn't have is refused. */
function isForeign(item: JsonObject): boolean {
  if (item["type"] === "item_reference") return isGatewaysItem(item["id"]);
  if (item["type"] === "web_search_call") return isGatewaysItem(item["id"]);
  if (item["type"] !== "reasoning") return false;
  const { id, encrypted_content: encrypted, content } = item;
  // A summary alone is useless to the model, and is refused.
  if (!id && !encrypted && (content ?? null) === null) return true;
  return isGatewaysItem(id) || isGatewaysThinking(encrypted);
}

function mendedItem(item: unknown): unknown {
  if (!isObject(item)) return item;
  const callId = item["call_id"];
  const own = typeof callId === "string" ? boundedId(callId, idRule) : callId;
  const isMade = isGatewaysItem(item["id"]);
  if (own === callId && !isMade) return item;
  const { id, ...rest } = item;
  return { ...rest, ...(isMade || id === undefined ? {} : { id }), ...(callId === undefined ? {} : { call_id: own }) };
}

/** Edits of a Responses body; empty if nothing changes. */
export function responsesEdits({ input }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (!Array.isArray(input)) return none;
  const items = input as unknown[];
  const mended = items.filter((item) => !isObject(item) || !isForeign(item)).map(mendedItem);
  const changed = mended.length !== items.length || mended.some((item, index) => item !== items[index]);
  return changed ? { input: mended } : none;
}
