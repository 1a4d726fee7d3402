/**
 * OpenAI's encrypted reasoning (https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items), as the
 * signature of a thinking block, so that clients of other APIs return it. Only the account and model that made it can
 * read it.
 */
import { createHash } from "node:crypto";
import type { JsonObject } from "../../../wire/json.ts";
import { foreignSignature } from "../../carried.ts";
import type { ProviderAccount, ProviderModel } from "../../provider.ts";

/** Begins the signatures of what this account's model reasons. */
export function signatureStart({ config }: ProviderAccount, model: ProviderModel): string {
  const origin = createHash("sha256").update(`${config.id}\n${model.config.upstream}`).digest("base64url");
  return `${foreignSignature}${origin.slice(0, 12)}.`;
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

export function summaryIn({ summary, content }: JsonObject): string {
  const parts = [summary, content].flatMap((list) => (Array.isArray(list) ? list : [])) as JsonObject[];
  return parts.map((part) => text(part?.["text"])).join("\n\n");
}

/** A thinking block for a reasoning item; null if the item has nothing to return. */
export function thinkingOf(item: JsonObject, start: string): JsonObject | null {
  const encrypted = text(item["encrypted_content"]);
  return encrypted === "" ? null : { type: "thinking", thinking: summaryIn(item), signature: start + encrypted };
}

/** The reasoning item for a thinking block; null if another provider or model made it. */
export function reasoningOf(block: JsonObject, start: string): JsonObject | null {
  const signature = text(block["signature"]);
  if (!signature.startsWith(start)) return null;
  const thinking = text(block["thinking"]);
  return {
    type: "reasoning",
    summary: thinking === "" ? [] : [{ type: "summary_text", text: thinking }],
    encrypted_content: signature.slice(start.length),
  };
}
