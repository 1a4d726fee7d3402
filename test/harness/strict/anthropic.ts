/** Refuses what Anthropic's Messages refuse (https://platform.claude.com/docs/en/api/messages/create). */
import { type Json, list, misnamed, own, tooLong, unanswered, unknownMembers, wordPattern } from "./json.ts";
import { factsOf } from "./models.ts";

const members = [
  ...[
    "model",
    "messages",
    "max_tokens",
    "system",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "tools",
  ],
  ...["tool_choice", "thinking", "metadata", "output_config", "service_tier", "container", "mcp_servers"],
  ...["context_management", "inference_geo", "speed", "cache_control"],
];
const blockMembers: Readonly<Record<string, readonly string[]>> = {
  text: ["type", "text", "cache_control", "citations"],
  image: ["type", "source", "cache_control"],
  document: ["type", "source", "title", "context", "citations", "cache_control"],
  tool_use: ["type", "id", "name", "input", "cache_control", "caller"],
  tool_result: ["type", "tool_use_id", "content", "is_error", "cache_control"],
  thinking: ["type", "thinking", "signature"],
  redacted_thinking: ["type", "data"],
  server_tool_use: ["type", "id", "name", "input", "cache_control", "caller"],
  web_search_tool_result: ["type", "tool_use_id", "content", "cache_control", "caller"],
};

export const blocksOf = (content: unknown): Json[] =>
  typeof content === "string" ? [{ type: "text", text: content }] : list(content);

/** `signed`: whether the provider made this signature. */
export function block(given: Json, where: string, signed: (signature: string) => boolean): string[] {
  const type = String(given["type"]);
  const wrong = unknownMembers(given, blockMembers[type] ?? [], where);
  if (blockMembers[type] === undefined) return [`${where}: unknown type ${type}`];
  if (type === "text" && String(given["text"]).trim() === "") wrong.push(`${where}: text must be non-empty`);
  if (type === "tool_use")
    wrong.push(
      ...misnamed(given["id"], wordPattern(64), `${where}.id`),
      ...misnamed(given["name"], wordPattern(128), where),
    );
  if (type === "tool_result") wrong.push(...misnamed(given["tool_use_id"], wordPattern(64), `${where}.tool_use_id`));
  if (type === "thinking" && !signed(String(given["signature"])))
    wrong.push(`${where}: Invalid signature in thinking block`);
  return wrong;
}

const idsOf = (blocks: readonly Json[], type: string, member: string): string[] =>
  blocks.filter((given) => given["type"] === type).map((given) => String(given[member]));

function turns(messages: readonly Json[]): string[] {
  const ids = messages.flatMap((given) => idsOf(blocksOf(given["content"]), "tool_use", "id"));
  return [
    ...(messages[0]?.["role"] === "user" ? [] : ["messages: first message must use the user role"]),
    ...(new Set(ids).size === ids.length ? [] : ["messages: `tool_use` ids must be unique"]),
    ...messages.flatMap((given, index) => {
      const where = `messages[${index}]`;
      const blocks = blocksOf(given["content"]);
      const after = blocksOf(messages[index + 1]?.["content"]);
      const wrong = blocks.length === 0 ? [`${where}: content must not be empty`] : [];
      if (!["user", "assistant", "system"].includes(String(given["role"]))) wrong.push(`${where}: unexpected role`);
      if (given["role"] === "assistant")
        wrong.push(...unanswered(idsOf(blocks, "tool_use", "id"), idsOf(after, "tool_result", "tool_use_id"), where));
      if (given["role"] === "assistant" && ["thinking", "redacted_thinking"].includes(String(blocks.at(-1)?.["type"])))
        wrong.push(`${where}: the final block in an assistant message cannot be thinking`);
      return wrong;
    }),
  ];
}

export function thinkingComplaints(thinking: Json, model: unknown, maxTokens: number): string[] {
  const { thinking: kinds } = factsOf(model);
  const type = thinking["type"];
  if (type === undefined) return [];
  const budget = Number(thinking["budget_tokens"] ?? 0);
  return [
    ...(kinds !== undefined && !kinds.includes(String(type))
      ? [`thinking.type.${String(type)} is not supported for this model`]
      : []),
    ...(type === "enabled" && (budget < 1_024 || budget >= maxTokens) ? ["thinking.budget_tokens out of range"] : []),
    ...unknownMembers(thinking, ["type", "budget_tokens", "display"], "thinking"),
  ];
}

function limits(body: Json): string[] {
  const facts = factsOf(body["model"]);
  const maxTokens = Number(body["max_tokens"]);
  const sampled =
    facts.sampling === false && ["temperature", "top_p", "top_k"].some((name) => (body[name] ?? null) !== null);
  const format = own(own(body["output_config"])["format"]);
  return [
    ...(Number.isInteger(maxTokens) && maxTokens > 0 ? [] : ["max_tokens: Field required"]),
    ...(facts.maxOutput !== undefined && maxTokens > facts.maxOutput
      ? [`max_tokens: ${maxTokens} > ${facts.maxOutput}`]
      : []),
    ...(sampled ? ["temperature, top_p and top_k are not supported for this model"] : []),
    ...(facts.jsonSchema === false && format["type"] !== undefined ? ["output_config.format is not supported"] : []),
    ...thinkingComplaints(own(body["thinking"]), body["model"], maxTokens),
  ];
}

export function messagesComplaints(body: Json, signed: (signature: string) => boolean): string[] {
  const messages = list(body["messages"]);
  const all = messages.flatMap((given, index) =>
    blocksOf(given["content"]).flatMap((one, place) => block(one, `messages[${index}].content[${place}]`, signed)),
  );
  const marks = JSON.stringify(body).split('"cache_control":{').length - 1;
  return [
    ...unknownMembers(body, members, "body"),
    ...tooLong(own(body["metadata"])["user_id"], 256, "metadata.user_id"),
    ...list(body["tools"]).flatMap((tool) => misnamed(tool["name"], wordPattern(128), "tools.name")),
    ...list(body["system"]).flatMap((one) => block(one, "system", signed)),
    ...(marks > 4 ? [`A maximum of 4 blocks with cache_control may be provided. Found ${marks}.`] : []),
    ...all,
    ...turns(messages),
    ...limits(body),
  ];
}
