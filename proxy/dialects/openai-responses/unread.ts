/** Names of members within a Responses body's items and tools that no translation reads. */
import { type JsonObject, objectsIn } from "../../wire/json.ts";
import { UnreadMembers } from "../unread-members.ts";

/** Members of answers that clients send back with their items. */
const echoed = ["id", "status", "phase", "annotations", "logprobs", "created_by"];
const set = (...names: string[]): ReadonlySet<string> => new Set(["type", ...echoed, ...names]);

const parts = {
  input_text: set("text"),
  output_text: set("text"),
  input_image: set("image_url", "detail", "file_id"),
  input_file: set("file_id", "file_data", "file_url", "filename"),
  input_audio: set("input_audio"),
  refusal: set("refusal"),
};

const items = {
  message: set("role", "content"),
  function_call: set("call_id", "name", "namespace", "arguments"),
  function_call_output: set("call_id", "output", "name", "namespace"),
  custom_tool_call: set("call_id", "name", "namespace", "input"),
  custom_tool_call_output: set("call_id", "output", "name", "namespace"),
};

const tools = {
  function: set("name", "description", "parameters", "strict"),
  custom: set("name", "description", "format"),
};

const reasoning = set("effort", "summary", "generate_summary");
const text = set("format", "verbosity");

export function unreadMembers(body: JsonObject): string[] {
  const unread = new UnreadMembers();
  for (const item of objectsIn(body["input"])) {
    unread.addTyped(item["type"] === undefined ? { ...item, type: "message" } : item, "input", items);
    for (const list of [item["content"], item["output"]])
      for (const part of objectsIn(list)) unread.addTyped(part, "input.content", parts);
  }
  for (const tool of objectsIn(body["tools"]))
    for (const own of tool["type"] === "namespace" ? objectsIn(tool["tools"]) : [tool])
      unread.addTyped(own, "tools", tools);
  unread.add(body["reasoning"], "reasoning", reasoning);
  unread.add(body["text"], "text", text);
  return [...unread.names];
}
