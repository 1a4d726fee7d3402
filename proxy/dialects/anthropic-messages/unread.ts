/** Names of members within a Messages body that no translation reads. */
import { type JsonObject, objectsIn } from "../../wire/json.ts";
import { UnreadMembers } from "../unread-members.ts";

const set = (...names: string[]): ReadonlySet<string> => new Set(["type", "cache_control", ...names]);

const blocks = {
  // Places cited by an earlier answer, which need no translation.
  text: set("text", "citations"),
  image: set("source"),
  document: set("source", "title", "context", "citations"),
  search_result: set("source", "title", "content", "citations"),
  tool_use: set("id", "name", "input", "caller"),
  tool_result: set("tool_use_id", "content", "is_error"),
  thinking: set("thinking", "signature"),
  redacted_thinking: set("data"),
};

const message = set("role", "content", "id", "model", "stop_reason", "stop_sequence", "usage", "container");

export function unreadMembers(body: JsonObject): string[] {
  const unread = new UnreadMembers();
  for (const turn of objectsIn(body["messages"])) {
    unread.add(turn, "messages", message);
    for (const block of objectsIn(turn["content"])) {
      unread.addTyped(block, "messages.content", blocks);
      if (block["type"] === "tool_result")
        for (const inner of objectsIn(block["content"])) unread.addTyped(inner, "messages.content.content", blocks);
    }
  }
  for (const block of objectsIn(body["system"])) unread.addTyped(block, "system", blocks);
  unread.add(body["thinking"], "thinking", set("budget_tokens", "display"));
  unread.add(body["output_config"], "output_config", set("effort", "format"));
  unread.add(body["metadata"], "metadata", set("user_id"));
  unread.add(body["tool_choice"], "tool_choice", set("name", "disable_parallel_tool_use"));
  return [...unread.names];
}
