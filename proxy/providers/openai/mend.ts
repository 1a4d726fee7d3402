/** What of a chat body has to change before a server of OpenAI's kind takes it. Pure. */
import type { ChatMessage, ChatRequest } from "../../dialects/canonical.ts";
import { isObject } from "../classify.ts";
import type { ProviderAccount, ProviderModel } from "../provider.ts";

const limits = ["max_tokens", "max_completion_tokens"] as const;

/** OpenAI's reasoning models refuse `max_tokens` (https://platform.openai.com/docs/api-reference/chat/create). */
const reasoning = /^(o[1-9]|gpt-5)/;

/** The name by which this model takes the limit; null: as it came. */
function limitName(account: ProviderAccount, model: ProviderModel): (typeof limits)[number] | null {
  const option = account.config.options["maxTokensField"];
  if (option === "max_tokens" || option === "max_completion_tokens") return option;
  return option === "Auto" && reasoning.test(model.config.upstream) ? "max_completion_tokens" : null;
}

/** The limit under the name that the model takes; empty where nothing changes. */
export function limitEdits(body: Readonly<Record<string, unknown>>, account: ProviderAccount, model: ProviderModel): Record<string, unknown> {
  const wanted = limitName(account, model);
  const other = limits.find((name) => name !== wanted);
  if (wanted === null || other === undefined || (body[other] ?? null) === null) return {};
  return { [other]: undefined, ...((body[wanted] ?? null) === null ? { [wanted]: body[other] } : {}) };
}

/** Members that other providers' answers carry and that OpenAI refuses in a message. */
const foreign = ["thinking_blocks", "reasoning_content", "reasoning"] as const;

const hasForeign = (message: unknown): boolean => isObject(message) && foreign.some((name) => Object.hasOwn(message, name));

export function withoutForeign<T>(message: T): T {
  if (!hasForeign(message)) return message;
  const own: Record<string, unknown> = { ...(message as Record<string, unknown>) };
  for (const name of foreign) delete own[name];
  return own as T;
}

/** A conversation that another provider took part in, so that it can go on at OpenAI; empty where nothing changes. */
export function messageEdits(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { messages } = body;
  return Array.isArray(messages) && messages.some(hasForeign) ? { messages: messages.map(withoutForeign) } : {};
}

/** The same for a request that is put together anew. */
export function mended(request: ChatRequest, account: ProviderAccount, model: ProviderModel, strict: boolean): ChatRequest {
  const edits = limitEdits(request, account, model);
  const messages: ChatMessage[] = strict ? request.messages.map(withoutForeign) : request.messages;
  const out: ChatRequest = { ...request, messages };
  for (const [name, value] of Object.entries(edits)) {
    if (value === undefined) delete out[name];
    else out[name] = value;
  }
  return out;
}
