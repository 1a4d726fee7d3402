/**
 * Checks a chat completions body as far as translation needs
 * (https://platform.openai.com/docs/api-reference/chat/create): what a translator reads has the type it expects.
 * Everything else passes unchanged.
 */
import { isObject, type JsonObject } from "../../wire/json.ts";
import { type ChatRequest, claudeWish, isRefusal, type Refusal, refusal } from "../canonical.ts";
import * as is from "../check.ts";
import { checkThinking, effortOfThinking } from "../claude-thinking.ts";
import { chatSearch, webSearch, wishFrom } from "../web-search.ts";
import { withFunctions } from "./custom-tools.ts";
import { withTools } from "./legacy-functions.ts";
import { isReasoning, withCanonicalMembers } from "./reasoning-parts.ts";
import { withImageObjects, withOwnReasoning } from "./spellings.ts";

const roles: ReadonlySet<unknown> = new Set(["system", "developer", "user", "assistant", "tool"]);

const parts: Readonly<Record<string, (part: JsonObject, param: string) => Refusal | null>> = {
  text: (part, param) => is.required(part, "text", is.aString, `${param}.`),
  refusal: (part, param) => is.required(part, "refusal", is.aString, `${param}.`),
  image_url: (part, param) =>
    is.required(part, "image_url", is.anObject, `${param}.`) ??
    is.required(part["image_url"] as JsonObject, "url", is.aString, `${param}.image_url.`),
  input_audio: (part, param) =>
    is.required(part, "input_audio", is.anObject, `${param}.`) ??
    is.required(part["input_audio"] as JsonObject, "data", is.aString, `${param}.input_audio.`) ??
    is.required(part["input_audio"] as JsonObject, "format", is.aString, `${param}.input_audio.`),
  video_url: (part, param) =>
    is.required(part, "video_url", is.anObject, `${param}.`) ??
    is.required(part["video_url"] as JsonObject, "url", is.aString, `${param}.video_url.`),
  file: (part, param) =>
    is.required(part, "file", is.anObject, `${param}.`) ??
    is.members(
      part["file"] as JsonObject,
      { file_data: is.aString, file_id: is.aString, filename: is.aString },
      `${param}.file.`,
    ),
};

const listOfParts = is.objects((part, path) => {
  const check = Object.hasOwn(parts, String(part["type"])) ? parts[String(part["type"])] : undefined;
  return check === undefined
    ? is.invalid(`${path}.type`, `one of ${Object.keys(parts).join(", ")}`)
    : check(part, path);
});

const content: is.Check = (value, param) => {
  if (typeof value === "string") return null;
  return Array.isArray(value) ? listOfParts(value, param) : is.invalid(param, "a string or a list of parts");
};

const named: is.Check = (value, param) =>
  is.anObject(value, param) ?? is.required(value as JsonObject, "name", is.aString, `${param}.`);

const custom = (holder: JsonObject, param: string): Refusal | null => is.required(holder, "custom", named, `${param}.`);

function toolCall(call: JsonObject, param: string): Refusal | null {
  if (call["type"] === "custom") return is.required(call, "id", is.aString, `${param}.`) ?? custom(call, param);
  if (call["type"] !== undefined && call["type"] !== "function")
    return refusal(`${param}.type`, "Only calls of function tools can be translated for the provider of this model.");
  const fn = is.required(call, "id", is.aString, `${param}.`) ?? is.required(call, "function", named, `${param}.`);
  return fn ?? is.required(call["function"] as JsonObject, "arguments", is.aString, `${param}.function.`);
}

/** Members of a message of any role. */
const messageMembers: Readonly<Record<string, is.Check>> = {
  content,
  name: is.aString,
  tool_calls: is.objects(toolCall),
  refusal: is.aString,
  reasoning_content: is.aString,
  thinking_blocks: is.objects(() => null),
  images: is.objects(
    (image, at) =>
      is.required(image, "image_url", is.anObject, `${at}.`) ??
      is.required(image["image_url"] as JsonObject, "url", is.aString, `${at}.image_url.`),
  ),
};

function message(given: JsonObject, param: string): Refusal | null {
  const role = given["role"];
  if (!roles.has(role)) return is.invalid(`${param}.role`, `one of ${[...roles].join(", ")}`);
  const { content: said } = given;
  const reasons = role === "assistant" && Array.isArray(said) && said.some(isReasoning);
  const plain = reasons ? { ...given, content: said.filter((part: unknown) => !isReasoning(part)) } : given;
  const problem = is.members(plain, messageMembers, `${param}.`);
  if (problem) return problem;
  if (role === "tool")
    return (
      is.required(given, "tool_call_id", is.aString, `${param}.`) ?? is.required(given, "content", content, `${param}.`)
    );
  return role === "assistant" ? null : is.required(given, "content", content, `${param}.`);
}

function tool(given: JsonObject, param: string): Refusal | null {
  if (given["type"] === "custom") return custom(given, param);
  if (given["type"] !== "function")
    return refusal(`${param}.type`, "Only function tools can be translated for the provider of this model.");
  const problem = is.required(given, "function", named, `${param}.`);
  const types = { description: is.aString, parameters: is.anObject, strict: is.aBoolean };
  return problem ?? is.members(given["function"] as JsonObject, types, `${param}.function.`);
}

function allowedTools(value: JsonObject, param: string): Refusal | null {
  const list = value["allowed_tools"];
  const path = `${param}.allowed_tools.`;
  return (
    is.required(value, "allowed_tools", is.anObject, `${param}.`) ??
    is.required(list as JsonObject, "tools", is.objects(tool), path) ??
    is.members(list as JsonObject, { mode: is.oneOf("auto", "required") }, path)
  );
}

const toolChoice: is.Check = (value, param) => {
  if (typeof value === "string") return is.oneOf("auto", "none", "required")(value, param);
  if (!isObject(value)) return is.invalid(param, "auto, none, required or a function");
  if (value["type"] === "custom") return custom(value, param);
  if (value["type"] === "allowed_tools") return allowedTools(value, param);
  if (value["type"] !== "function")
    return refusal(`${param}.type`, "Only a choice of one function can be translated for the provider of this model.");
  return is.required(value, "function", named, `${param}.`);
};

const responseFormat: is.Check = (value, param) => {
  if (!isObject(value)) return is.invalid(param, "an object");
  const problem = is.oneOf("text", "json_object", "json_schema")(value["type"], `${param}.type`);
  if (problem || value["type"] !== "json_schema") return problem;
  const schema = is.required(value, "json_schema", named, `${param}.`);
  return (
    schema ??
    is.members(
      value["json_schema"] as JsonObject,
      { schema: is.anObject, strict: is.aBoolean, description: is.aString },
      `${param}.json_schema.`,
    )
  );
};

/** Legacy and hosted features. Without them, the answer would mean something else. */
const untranslatable: is.Check = (_value, param) =>
  refusal(
    param,
    `\`${param}\` can't be translated for the provider of this model. Leave it out, or choose a model of another provider.`,
  );
/** Types of the members that translators read. */
export const parameters: Readonly<Record<string, is.Check>> = {
  stream: is.aBoolean,
  stream_options: is.anObject,
  max_tokens: is.aCount,
  max_completion_tokens: is.aCount,
  temperature: is.aNumber,
  top_p: is.aNumber,
  n: is.aWholeNumber,
  stop: is.aStringOrStrings,
  seed: is.anInteger,
  presence_penalty: is.aNumber,
  frequency_penalty: is.aNumber,
  logit_bias: is.someNumbers,
  logprobs: is.aBoolean,
  top_logprobs: is.aCount,
  tools: is.objects(tool),
  tool_choice: toolChoice,
  parallel_tool_calls: is.aBoolean,
  response_format: responseFormat,
  reasoning_effort: is.aString,
  user: is.aString,
  audio: untranslatable,
  web_search_options: is.anObject,
  modalities: is.aStringOrStrings,
};

export function decode(given: JsonObject): ChatRequest | Refusal {
  const own = withOwnReasoning(given);
  const body = isRefusal(own) ? own : withTools(withImages(own));
  if (isRefusal(body)) return body;
  const problem = is.required(body, "model", is.aString) ?? is.required(body, "messages", is.objects(message));
  if (problem) return problem;
  if ((body["messages"] as unknown[]).length === 0) return is.invalid("messages", "a list with at least one message");
  const wrong = is.members(body, parameters);
  if (wrong) return wrong;
  const request = withFunctions(body);
  return isRefusal(request) ? request : withSearch(withThinking(withCanonicalMembers(request)));
}

function withImages(body: JsonObject): JsonObject {
  const { messages } = body;
  const objects = Array.isArray(messages) ? withImageObjects(messages) : messages;
  return objects === messages ? body : { ...body, messages: objects };
}

function withSearch(request: ChatRequest): ChatRequest {
  const { web_search_options: options, ...rest } = request;
  // A chat searches once, which is what budgets reserve.
  return isObject(options) ? { ...rest, [webSearch]: wishFrom(options, chatSearch, 1) } : request;
}

/** Claude's parameter, as gateways in OpenAI's format take it. Other forms are left to the provider. */
function withThinking(request: ChatRequest): ChatRequest {
  const { thinking, ...rest } = request;
  if (!isObject(thinking) || checkThinking(thinking, "thinking") !== null) return request;
  const effort = rest.reasoning_effort ?? null;
  const requested = effort ?? effortOfThinking(thinking);
  return {
    ...rest,
    ...(requested === null ? {} : { reasoning_effort: requested }),
    [claudeWish]: { thinking, effort },
  };
}
