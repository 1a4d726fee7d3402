/**
 * A provider's signed reasoning, carried in `encrypted_content` of a reasoning item: clients return it unchanged
 * (https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items), and Anthropic needs its signed blocks
 * before a tool result. The marker distinguishes it from OpenAI's own.
 */
import { Buffer } from "node:buffer";
import { type JsonObject, jsonIn, objectsIn } from "../../wire/json.ts";
import { isGatewaysThinking, thinkingMarker } from "./made-items.ts";

export function packThinking(blocks: readonly JsonObject[]): string {
  return thinkingMarker + Buffer.from(JSON.stringify(blocks)).toString("base64url");
}

/** Returns no blocks if the content isn't the gateway's or can't be read. */
export function unpackThinking(packed: unknown): readonly JsonObject[] {
  if (!isGatewaysThinking(packed)) return [];
  const blocks = jsonIn(Buffer.from(String(packed).slice(thinkingMarker.length), "base64url").toString("utf8"));
  return objectsIn(blocks);
}
