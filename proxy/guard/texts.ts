/** Every text that a request carries, whatever its dialect. Pure. */
import type { JsonObject } from "../dialects/canonical.ts";

/** Top-level members that hold words of the conversation, in all client formats. */
const carriers = ["messages", "input", "prompt", "system", "instructions", "tools", "suffix"] as const;
/** Members that name or tell apart, and hold no words. */
const labels: ReadonlySet<string> = new Set([
  "type",
  "role",
  "id",
  "tool_call_id",
  "tool_use_id",
  "call_id",
  "media_type",
  "format",
  "signature",
  "encrypted_content",
  "url",
  "file_data",
  "data",
]);

function* walk(value: unknown, name: string): Generator<string> {
  if (typeof value === "string") {
    if (value !== "" && !labels.has(name)) yield value;
  } else if (Array.isArray(value)) {
    for (const one of value) yield* walk(one, name);
  } else if (value !== null && typeof value === "object") {
    for (const [member, inner] of Object.entries(value as JsonObject)) yield* walk(inner, member);
  }
}

export function* textsOf(body: JsonObject): Generator<string> {
  for (const carrier of carriers) if (Object.hasOwn(body, carrier)) yield* walk(body[carrier], carrier);
}

/** What the user said last: the text that an allow-list is about. */
export function lastUserText(body: JsonObject): string {
  const turns = [body["messages"], body["input"], body["prompt"]].find((one) => one !== undefined);
  if (typeof turns === "string") return turns;
  if (!Array.isArray(turns)) return "";
  const last = turns.findLast((turn) => typeof turn === "string" || (turn as JsonObject | null)?.["role"] === "user") as unknown;
  if (typeof last === "string") return last;
  return [...walk((last as JsonObject | undefined)?.["content"], "content")].join("\n");
}
