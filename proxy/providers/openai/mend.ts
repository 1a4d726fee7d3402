/** Changes that a chat body needs before an OpenAI-like server accepts it. Pure. */

import type { ChatMessage, ChatRequest } from "../../dialects/canonical.ts";
import { isObject } from "../../wire/json.ts";
import type { ProviderAccount, ProviderModel } from "../provider.ts";

type LimitName = "max_tokens" | "max_completion_tokens";

/**
 * OpenAI's reasoning models refuse `max_tokens` (https://platform.openai.com/docs/api-reference/chat/create): o1 to o9
 * and gpt-5.
 */
function reasons(upstream: string): boolean {
  if (upstream.startsWith("gpt-5")) return true;
  const generation = upstream.charAt(1);
  return upstream.startsWith("o") && generation >= "1" && generation <= "9";
}

/** The name under which this model accepts the limit; null to keep the caller's. */
function limitName(account: ProviderAccount, model: ProviderModel): LimitName | null {
  const option = account.config.options["maxTokensField"];
  if (option === "max_tokens" || option === "max_completion_tokens") return option;
  return option === "Auto" && reasons(model.config.upstream) ? "max_completion_tokens" : null;
}

const none: Readonly<Record<string, unknown>> = {};

/** The limit under the name that the model accepts; empty if nothing changes. */
export function limitEdits(
  body: Readonly<Record<string, unknown>>,
  account: ProviderAccount,
  model: ProviderModel,
): Readonly<Record<string, unknown>> {
  const wanted = limitName(account, model);
  if (wanted === null) return none;
  const other: LimitName = wanted === "max_tokens" ? "max_completion_tokens" : "max_tokens";
  if ((body[other] ?? null) === null) return none;
  return { [other]: undefined, ...((body[wanted] ?? null) === null ? { [wanted]: body[other] } : {}) };
}

/** Members in answers of other providers that OpenAI refuses in a message. */
const foreign = ["thinking_blocks", "reasoning_content", "reasoning"] as const;

function hasForeign(message: unknown): boolean {
  if (!isObject(message)) return false;
  for (const name of foreign) if (Object.hasOwn(message, name)) return true;
  return false;
}

function withoutForeign<T>(message: T): T {
  if (!hasForeign(message)) return message;
  const own: Record<string, unknown> = { ...(message as Record<string, unknown>) };
  for (const name of foreign) delete own[name];
  return own as T;
}

/** Makes a conversation with another provider acceptable to OpenAI; empty if nothing changes. */
function messageEdits({ messages }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Array.isArray(messages) && messages.some(hasForeign) ? { messages: messages.map(withoutForeign) } : none;
}

/** All changes that a chat body needs for OpenAI's own models. */
export function chatEdits(
  body: Readonly<Record<string, unknown>>,
  account: ProviderAccount,
  model: ProviderModel,
): Readonly<Record<string, unknown>> {
  const limit = limitEdits(body, account, model);
  const messages = messageEdits(body);
  return messages === none ? limit : { ...limit, ...messages };
}

/** The same changes for a request that is built from the canonical form. */
export function mended(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  strict: boolean,
): ChatRequest {
  const edits = limitEdits(request, account, model);
  const messages: ChatMessage[] = strict ? request.messages.map(withoutForeign) : request.messages;
  const out: ChatRequest = { ...request, messages };
  for (const [name, value] of Object.entries(edits)) {
    if (value === undefined) delete out[name];
    else out[name] = value;
  }
  return out;
}
