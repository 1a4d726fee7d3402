/**
 * Decides whose fault a failure is: from the status, the error's own code or type, and its message if the API sends
 * nothing better. Every provider's error decoder and every error inside a 200 or a stream ends here. Pure.
 */

import type { FailureCode } from "../../failure.ts";
import { isObject, type JsonObject } from "../../wire/json.ts";
import type { ProviderErrorClass } from "../canonical.ts";

export interface Blamed {
  class: ProviderErrorClass;
  code: FailureCode;
}

/** What is known about a failure. `codes`: the error's own codes and types, most specific first. */
export interface Evidence {
  status: number;
  codes: readonly string[];
  message: string;
}

const unauthorized: Blamed = { class: "Unauthorized", code: "upstream_auth_error" };
const notFound: Blamed = { class: "NotFound", code: "upstream_model_not_found" };
const timeout: Blamed = { class: "Timeout", code: "upstream_timeout" };
const limited: Blamed = { class: "RateLimited", code: "upstream_rate_limited" };
const unavailable: Blamed = { class: "Unavailable", code: "upstream_unavailable" };
const broken: Blamed = { class: "ServerError", code: "upstream_error" };
const rejected: Blamed = { class: "BadRequest", code: "upstream_rejected_request" };
const tooLong: Blamed = { class: "BadRequest", code: "context_length_exceeded" };
const tooLarge: Blamed = { class: "BadRequest", code: "request_too_large" };
const filtered: Blamed = { class: "BadRequest", code: "content_filter" };

/**
 * Statuses below 500 that don't have their usual meaning, or that an SDK would retry in a direct call. The rest of 4xx
 * is the caller's fault.
 */
const byStatus: Readonly<Record<number, Blamed>> = {
  401: unauthorized,
  402: unauthorized,
  403: unauthorized,
  404: notFound,
  // The proxy in front of the provider requires credentials of its own.
  407: unauthorized,
  408: timeout,
  // The official SDKs retry a conflict.
  409: unavailable,
  410: notFound,
  413: tooLarge,
  // A dependency of the server failed, usually the model behind it.
  421: broken,
  423: unavailable,
  424: broken,
  425: unavailable,
  429: limited,
  // nginx's status for a call that an intermediary abandoned.
  499: unavailable,
  503: unavailable,
  504: timeout,
  // Cloudflare's timeouts, and Anthropic's overload.
  522: timeout,
  524: timeout,
  529: unavailable,
};

export function blameOfStatus(status: number): Blamed {
  return byStatus[status] ?? (status >= 400 && status < 500 ? rejected : broken);
}

/** Error codes and types of APIs, in lower case. They decide if they say more than the status. */
const byCode: ReadonlyMap<string, Blamed> = new Map(
  Object.entries({
    // OpenAI, Azure OpenAI and servers that follow them.
    context_length_exceeded: tooLong,
    content_filter: filtered,
    content_policy_violation: filtered,
    moderation_blocked: filtered,
    responsibleaipolicyviolation: filtered,
    insufficient_quota: limited,
    billing_hard_limit_reached: limited,
    quota_exceeded: limited,
    rate_limit_exceeded: limited,
    server_overloaded: unavailable,
    slow_down: unavailable,
    engine_overloaded: unavailable,
    service_unavailable: unavailable,
    server_error: broken,
    internal_server_error: broken,
    internal_error: broken,
    model_not_found: notFound,
    deploymentnotfound: notFound,
    invalid_api_key: unauthorized,
    // Anthropic.
    rate_limit_error: limited,
    overloaded_error: unavailable,
    timeout_error: timeout,
    authentication_error: unauthorized,
    permission_error: unauthorized,
    not_found_error: notFound,
    api_error: broken,
    invalid_request_error: rejected,
    // llama.cpp, LiteLLM, OpenRouter.
    exceed_context_size_error: tooLong,
    context_window_exceeded: tooLong,
    contextwindowexceedederror: tooLong,
    contentpolicyviolationerror: filtered,
    // Text Generation Inference.
    overloaded: unavailable,
    // Alibaba's Model Studio.
    data_inspection_failed: filtered,
    datainspectionfailed: filtered,
    arrearage: limited,
  }),
);

/**
 * Messages of servers when a prompt exceeds the context length: vLLM and OpenAI ("maximum context length is"), TGI
 * ("`inputs` tokens + `max_new_tokens` must be <="), llama.cpp ("exceeds the available context size"), SGLang ("longer
 * than the model's context length"), Ollama ("input length exceeds the context length"), xAI ("maximum prompt length
 * is"), TensorRT-LLM ("exceeds maximum input length"), Mistral, Fireworks, Moonshot, Databricks, watsonx, Gemini,
 * Bedrock.
 */
const contextLength = [
  /(max(imum)?|available|model'?s?|allowed|total|configured)( supported)? (input |prompt |context |sequence |model |token )*(context|prompt|input|sequence|model|tokens?)[ _-]?(length|size|window|limit|len)\b/i,
  /context[ _](length|size|window)[^.]{0,40}exceed|exceed[^.]{0,60}(context|token|prompt|input|sequence)[ _](limit|length|size|window)/i,
  /(exceed|longer than|larger than|greater than|too large for|beyond)[^.]{0,80}(context[ _](length|size|window)|model length|max_model_len|maximum number of (input )?tokens|input length limit)/i,
  /\b(prompt|input|inputs|messages?|conversation)\b[^.]{0,40}\b(is|are|was) too (long|many tokens)/i,
  /\btoo many (input |prompt )?tokens\b|\bprompt too long\b|\binput too long\b/i,
  /`?inputs`?[^.]{0,40}(tokens[^.]{0,40}must be <=|must have less than \d+ tokens)/i,
  /input token(s| count)?[^.]{0,60}(exceed|is larger)|(prompt|context|input)[^.]{0,60}exceeds? (the )?limit/i,
  /range of input length should be|context[^.]{0,20}overflow|context length of only/i,
];
/** About the length of the answer, which the caller chose, or about a rate. */
const otherLength = /tokens?[`'"]? is too large|max tokens must be|tokens? per (min|day|hour|second)/i;
const ofContext = /context[ _](length|size|window)/i;

/** Blocked because of its content, although no code says so. */
const contentPolicy =
  /content (management|filter(ing)?|safety|moderation) policy|usage polic(y|ies)|content policy|flagged (by|as|for)|flagged your|safety (system|filter)|(blocked|rejected) by[^.]{0,30}(content|safety|moderation)|inappropriate content|prompt was flagged/i;

/** An account that has exhausted its quota, although the status says something else. */
const usedUp =
  /usage limits?\b|exceeded your (current |monthly |daily )?quota|quota (has been |is )?(exceeded|exhausted|used up)|(spend(ing)?|billing|hard) limit|insufficient (balance|credits?|funds|quota)|out of credits/i;

/** An error page may be long. Its message is at the start. */
const readCharacters = 2_000;

function isTooLong(message: string): boolean {
  if (otherLength.test(message) && !ofContext.test(message)) return false;
  return contextLength.some((words) => words.test(message));
}

function blameOfWords(message: string, otherwise: Blamed): Blamed {
  if (isTooLong(message)) return tooLong;
  if (otherwise !== rejected) return otherwise;
  if (usedUp.test(message)) return limited;
  return contentPolicy.test(message) ? filtered : otherwise;
}

/** Codes that cover many failures, so other fields must distinguish them. */
const isVague = (blamed: Blamed | null): boolean =>
  blamed === null || blamed.code === "upstream_rejected_request" || blamed.code === "upstream_error";

/** The first code that says what happened, otherwise the first that is known at all. */
function blameOfCodes(codes: readonly string[]): Blamed | null {
  const blamed = codes.map((code) => byCode.get(code.toLowerCase()) ?? null).filter((blame) => blame !== null);
  return blamed.find((blame) => !isVague(blame)) ?? blamed[0] ?? null;
}

/** Statuses that decide on their own, whatever an error calls itself. */
const decisive: ReadonlySet<number> = new Set([401, 402, 407, 429]);

/** The status of an error inside a 200 that states no other. */
const statusOfAnswer = 200;

/** What is said if the words say nothing. */
const withoutWords = (vague: Blamed): Blamed => (vague.class === "BadRequest" && vague !== tooLarge ? rejected : vague);

/** `known`: the result of the provider's own decoder, which is kept unless it says little. */
export function blame({ status, codes, message }: Evidence, known: Blamed | null = null): Blamed {
  if (known !== null && !isVague(known)) return known;
  const ofStatus = blameOfStatus(status);
  if (decisive.has(status)) return ofStatus;
  const words = message.slice(0, readCharacters);
  const said = blameOfCodes(codes);
  if (status === 403) return said === filtered || contentPolicy.test(words) ? filtered : ofStatus;
  if (said !== null && !isVague(said)) return said;
  const vague = known ?? (status === statusOfAnswer ? said : null) ?? ofStatus;
  return vague.class === "BadRequest" || vague.class === "ServerError"
    ? blameOfWords(words, withoutWords(vague))
    : vague;
}

function statusOf(value: unknown): number | null {
  const status = typeof value === "string" && /^\d{3}$/.test(value) ? Number(value) : value;
  return typeof status === "number" && Number.isInteger(status) && status >= 400 && status < 600 ? status : null;
}

/** The status that an error body states for itself (such as `"code": 503`), if it came inside a 200. */
export function statusIn(body: unknown): number {
  const outer = Array.isArray(body) ? body[0] : body;
  if (!isObject(outer)) return statusOfAnswer;
  const inner: JsonObject = isObject(outer["error"]) ? outer["error"] : outer;
  for (const holder of [inner, outer])
    for (const name of ["code", "status", "status_code", "statusCode", "http_status"]) {
      const status = statusOf(holder[name]);
      if (status !== null) return status;
    }
  return statusOfAnswer;
}
