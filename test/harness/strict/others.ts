/** Refuses what Gemini, Bedrock, Mistral, Cohere and watsonx refuse, as their documentation says. */
import { thinkingComplaints } from "./anthropic.ts";
import { type Json, list, misnamed, own, unanswered, unknownMembers, wordPattern } from "./json.ts";

const placeholder = "skip_thought_signature_validator";

/** https://ai.google.dev/gemini-api/docs/thought-signatures, https://ai.google.dev/api/generate-content */
export function geminiComplaints(body: Json, signed: (signature: string) => boolean): string[] {
  const contents = list(body["contents"]);
  const named = /^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$/;
  const known = [
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "safetySettings",
    "cachedContent",
  ];
  const declared = list(body["tools"]).flatMap((tool) => list(tool["functionDeclarations"]));
  return [
    ...unknownMembers(body, known, "body"),
    ...declared.flatMap((one) => misnamed(one["name"], named, "functionDeclarations.name")),
    ...contents.flatMap((content, index) => {
      const where = `contents[${index}]`;
      const parts = list(content["parts"]);
      const calls = parts.filter((part) => "functionCall" in part);
      const results = list(contents[index + 1]?.["parts"]).filter((part) => "functionResponse" in part);
      const signature = calls[0]?.["thoughtSignature"];
      const good = typeof signature === "string" && (signature === placeholder || signed(signature));
      return [
        ...(parts.length === 0 ? [`${where}: parts must not be empty`] : []),
        ...parts.flatMap((part) => (part["text"] === "" ? [`${where}: empty text`] : [])),
        ...(calls.length > 0 && !good ? [`${where}: function call is missing a thought_signature`] : []),
        ...(calls.length > 0 && calls.length !== results.length
          ? [`${where}: number of function responses differs`]
          : []),
        ...parts.flatMap((part) =>
          "functionCall" in part ? misnamed(own(part["functionCall"])["name"], named, where) : [],
        ),
      ];
    }),
  ];
}

const converseMembers = [
  ...["messages", "system", "inferenceConfig", "toolConfig", "additionalModelRequestFields", "outputConfig"],
  ...["serviceTier", "requestMetadata", "guardrailConfig", "performanceConfig", "additionalModelResponseFieldPaths"],
];
const unions = ["text", "image", "document", "toolUse", "toolResult", "reasoningContent", "cachePoint", "video"];

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html */
export function converseComplaints(body: Json, model: string, signed: (signature: string) => boolean): string[] {
  const messages = list(body["messages"]);
  const tools = list(own(body["toolConfig"])["tools"]);
  const used = JSON.stringify(messages).includes('"toolUse"');
  const maxTokens = Number(own(body["inferenceConfig"])["maxTokens"] ?? 64_000);
  const ids = (content: unknown, name: string): string[] =>
    list(content).flatMap((one) => (name in one ? [String(own(one[name])["toolUseId"])] : []));
  return [
    ...unknownMembers(body, converseMembers, "body"),
    ...unknownMembers(own(body["outputConfig"]), ["textFormat"], "outputConfig"),
    ...(used && tools.length === 0 ? ["The toolConfig field must be defined when using toolUse blocks"] : []),
    ...tools.flatMap((tool) =>
      "toolSpec" in tool ? misnamed(own(tool["toolSpec"])["name"], wordPattern(64), "toolSpec.name") : [],
    ),
    ...thinkingComplaints(own(own(body["additionalModelRequestFields"])["thinking"]), model, maxTokens),
    ...messages.flatMap((message, index) => {
      const where = `messages[${index}]`;
      const role = index % 2 === 0 ? "user" : "assistant";
      const blocks = list(message["content"]);
      return [
        ...(message["role"] === role ? [] : [`${where}: roles must alternate and begin with the user`]),
        ...(blocks.length === 0 ? [`${where}: content is empty`] : []),
        ...blocks.flatMap((block) => converseBlock(block, where, signed)),
        ...(role === "assistant"
          ? unanswered(ids(blocks, "toolUse"), ids(messages[index + 1]?.["content"], "toolResult"), where)
          : []),
      ];
    }),
  ];
}

function converseBlock(one: Json, where: string, signed: (signature: string) => boolean): string[] {
  const use = own(one["toolUse"] ?? one["toolResult"]);
  const reasoning = own(own(one["reasoningContent"])["reasoningText"]);
  return [
    ...unknownMembers(one, unions, where),
    ...(typeof one["text"] === "string" && one["text"].trim() === "" ? [`${where}: blank text`] : []),
    ...("toolUseId" in use ? misnamed(use["toolUseId"], wordPattern(64), `${where}.toolUseId`) : []),
    ...("name" in use ? misnamed(use["name"], wordPattern(64), `${where}.name`) : []),
    ...("text" in reasoning && !signed(String(reasoning["signature"])) ? [`${where}: Invalid signature`] : []),
  ];
}

const mistralMembers = [
  ...[
    "model",
    "messages",
    "stream",
    "temperature",
    "top_p",
    "n",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "tools",
  ],
  ...["parallel_tool_calls", "response_format", "prediction", "safe_prompt", "prompt_mode", "reasoning_effort"],
  ...["max_tokens", "random_seed", "tool_choice", "metadata", "guardrails"],
];

/** https://docs.mistral.ai/api/#tag/chat */
export function mistralComplaints(body: Json): string[] {
  const ninth = /^[a-zA-Z0-9]{9}$/;
  return [
    ...unknownMembers(body, mistralMembers, "body"),
    ...list(body["tools"]).flatMap((tool) => misnamed(own(tool["function"])["name"], wordPattern(64), "tools.name")),
    ...list(body["messages"]).flatMap((message, index) => {
      const where = `messages[${index}]`;
      const calls = list(message["tool_calls"]);
      const empty = message["role"] === "assistant" && !message["content"] && calls.length === 0;
      return [
        ...(empty ? [`${where}: Assistant message must have either content or tool_calls`] : []),
        ...unknownMembers(message, ["role", "content", "tool_calls", "tool_call_id", "name", "prefix"], where),
        ...calls.flatMap((call) => misnamed(call["id"], ninth, `${where}.id`)),
        ...(message["role"] === "tool" ? misnamed(message["tool_call_id"], ninth, `${where}.tool_call_id`) : []),
      ];
    }),
  ];
}

const cohereMembers = [
  ...["model", "messages", "stream", "tools", "tool_choice", "strict_tools", "documents", "citation_options", "p", "k"],
  ...["response_format", "safety_mode", "max_tokens", "stop_sequences", "temperature", "seed", "frequency_penalty"],
  ...["presence_penalty", "logprobs", "thinking", "priority"],
];
const watsonxMembers = [
  ...["model_id", "project_id", "space_id", "messages", "max_completion_tokens", "time_limit", "tool_choice_option"],
  ...[
    "tool_choice",
    "temperature",
    "top_p",
    "n",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "stop",
  ],
  ...["logprobs", "top_logprobs", "tools", "response_format", "reasoning_effort", "include_reasoning"],
  ...["chat_template_kwargs", "context"],
];

/** The rules that Cohere and watsonx share: ids of calls and results, names of tools, no unknown members. */
function chatComplaints(body: Json, known: readonly string[], name: RegExp): string[] {
  const messages = list(body["messages"]);
  const calls = messages.flatMap((message) => list(message["tool_calls"]).map((call) => String(call["id"])));
  const results = messages.flatMap((message) => (message["role"] === "tool" ? [String(message["tool_call_id"])] : []));
  return [
    ...unknownMembers(body, known, "body"),
    ...list(body["tools"]).flatMap((tool) => misnamed(own(tool["function"])["name"], name, "tools.name")),
    ...calls.flatMap((id) => misnamed(id, wordPattern(64), "tool_calls.id")),
    ...unanswered([...new Set(calls)], [...new Set(results)], "messages"),
  ];
}

/** https://docs.cohere.com/reference/chat */
export const cohereComplaints = (body: Json): string[] =>
  chatComplaints(body, cohereMembers, /^[a-zA-Z_][a-zA-Z0-9_]{0,63}$/);
/** https://cloud.ibm.com/apidocs/watsonx-ai#text-chat */
export const watsonxComplaints = (body: Json): string[] => chatComplaints(body, watsonxMembers, wordPattern(64));
