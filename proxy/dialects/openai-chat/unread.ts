/** Names of members within a chat's messages and tools that no translation reads. */
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import { UnreadMembers } from "../unread-members.ts";
import { unreadReasoning } from "./spellings.ts";

const always = ["type", "cache_control"];

/** Members of answers that clients send back with them, and that ask for nothing. */
const echoed = ["annotations", "citations", "safety_ratings", "parsed", "index", "id", "provider_specific_fields"];

const messageMembers: ReadonlySet<string> = new Set([
  ...["role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "is_error", "images"],
  ...["reasoning", "reasoning_content", "reasoning_details", "thinking_blocks"],
  // Mistral's and DeepSeek's word for what every translation does with a last message of the assistant.
  "prefix",
  ...always,
  ...echoed,
]);

const partMembers: Readonly<Record<string, ReadonlySet<string>>> = {
  text: new Set(["text", ...always, ...echoed]),
  refusal: new Set(["refusal", ...always]),
  image_url: new Set(["image_url", ...always]),
  input_audio: new Set(["input_audio", ...always]),
  video_url: new Set(["video_url", ...always]),
  file: new Set(["file", ...always]),
};

/** Members of what a part holds. */
const mediaMembers: Readonly<Record<string, ReadonlySet<string>>> = {
  image_url: new Set(["url", "detail"]),
  input_audio: new Set(["data", "format"]),
  video_url: new Set(["url"]),
  file: new Set(["file_data", "file_id", "filename"]),
};

const callMembers: ReadonlySet<string> = new Set(["function", "custom", ...always, ...echoed]);
const toolMembers: ReadonlySet<string> = new Set(["function", "custom", ...always]);
const functionMembers: ReadonlySet<string> = new Set(["name", "description", "parameters", "strict", ...always]);
const schemaMembers: ReadonlySet<string> = new Set(["name", "description", "schema", "strict"]);

function inMessage(message: JsonObject, unread: UnreadMembers): void {
  unread.add(message, "messages", messageMembers);
  for (const part of objectsIn(message["content"])) {
    const type = String(part["type"]);
    unread.addTyped(part, "messages.content", partMembers);
    const media = Object.hasOwn(mediaMembers, type) ? mediaMembers[type] : undefined;
    if (media !== undefined) unread.add(part[type], `messages.content.${type}`, media);
  }
  for (const call of objectsIn(message["tool_calls"])) unread.add(call, "messages.tool_calls", callMembers);
}

export function unreadMembers(body: JsonObject): string[] {
  const unread = new UnreadMembers();
  for (const message of objectsIn(body["messages"])) inMessage(message, unread);
  for (const tool of objectsIn(body["tools"])) {
    unread.add(tool, "tools", toolMembers);
    unread.add(tool["function"], "tools.function", functionMembers);
  }
  const format = body["response_format"];
  if (isObject(format)) unread.add(format["json_schema"], "response_format.json_schema", schemaMembers);
  return [...unreadReasoning(body), ...unread.names];
}
