/**
 * Signed reasoning of a provider, carried in `encrypted_content` of a reasoning item: clients hand that back as it is
 * (https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items), and Anthropic needs its signed blocks
 * before a tool's result. The marker tells ours from OpenAI's own.
 */
import { Buffer } from "node:buffer";
import { isObject, type JsonObject, jsonIn } from "../../wire/json.ts";

const marker = "sluice.thinking.";

export function packThinking(blocks: readonly JsonObject[]): string {
  return marker + Buffer.from(JSON.stringify(blocks)).toString("base64url");
}

/** Nothing where it isn't ours or isn't readable. */
export function unpackThinking(packed: unknown): JsonObject[] {
  if (typeof packed !== "string" || !packed.startsWith(marker)) return [];
  const blocks = jsonIn(Buffer.from(packed.slice(marker.length), "base64url").toString("utf8"));
  return Array.isArray(blocks) ? blocks.filter(isObject) : [];
}
