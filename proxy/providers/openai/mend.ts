/** Changes that a chat body needs before an OpenAI-like server accepts it. Pure. */

import type { WireFormat } from "../../config/capabilities.ts";
import type { ChatMessage, ChatRequest } from "../../dialects/canonical.ts";
import { withImageObjects } from "../../dialects/openai-chat/spellings.ts";
import { isObject } from "../../wire/json.ts";
import { boundedId } from "../bounds.ts";
import { carriesValue } from "../carried.ts";
import { factsOf, type ModelFacts } from "../model-facts.ts";
import type { ProviderAccount, ProviderModel } from "../provider.ts";
import { adapted } from "./adapt.ts";
import { effortDrops, effortEdits, memberDrops, memberEdits, unmarkedMessages } from "./foreign-members.ts";
import { responsesEdits } from "./mend-responses.ts";
import { openAiFacts } from "./models.ts";

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
const noFacts = (): ModelFacts => ({});

/** The limit under the name that the model accepts; empty if nothing changes. */
export function limitEdits(
  body: Readonly<Record<string, unknown>>,
  account: ProviderAccount,
  model: ProviderModel,
): Readonly<Record<string, unknown>> {
  const wanted = limitName(account, model);
  return wanted === null ? none : limitAs(wanted, body);
}

function limitAs(wanted: LimitName, body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const other: LimitName = wanted === "max_tokens" ? "max_completion_tokens" : "max_tokens";
  if ((body[other] ?? null) === null) return none;
  return { [other]: undefined, ...((body[wanted] ?? null) === null ? { [wanted]: body[other] } : {}) };
}

/** Members in answers of other providers that OpenAI refuses in a message. */
const foreign = ["thinking_blocks", "reasoning_content", "reasoning", "reasoning_details", "images"] as const;

const idRule = { characters: "A-Za-z0-9_-", longest: 40 };

/** Servers of the same format may take ids that OpenAI refuses, such as their own. */
const maxElsewhereLength = 64;

const isForeignId = (id: unknown, longest: number): boolean =>
  typeof id === "string" && (carriesValue(id) || id.length > longest);

function hasForeign(message: unknown): boolean {
  if (!isObject(message)) return false;
  for (let index = 0; index < foreign.length; index++) if (Object.hasOwn(message, foreign[index] ?? "")) return true;
  return false;
}

function hasForeignId(message: unknown, longest: number): boolean {
  if (!isObject(message)) return false;
  const calls = message["tool_calls"];
  return (
    isForeignId(message["tool_call_id"], longest) ||
    (Array.isArray(calls) && calls.some((call: unknown) => isObject(call) && isForeignId(call["id"], longest)))
  );
}

const ownId = (id: unknown, longest: number): unknown =>
  isForeignId(id, longest) ? boundedId(String(id), idRule) : id;

function withOwnIds(message: unknown, longest: number): unknown {
  if (!isObject(message) || !hasForeignId(message, longest)) return message;
  const own: Record<string, unknown> = { ...message };
  if (own["tool_call_id"] !== undefined) own["tool_call_id"] = ownId(own["tool_call_id"], longest);
  if (Array.isArray(own["tool_calls"]))
    own["tool_calls"] = own["tool_calls"].map((call: unknown) =>
      isObject(call) ? { ...call, id: ownId(call["id"], longest) } : call,
    );
  return own;
}

/** The message without them; the same object if it has none. */
export function withoutForeign<T>(message: T): T {
  if (!hasForeign(message)) return message;
  const own: Record<string, unknown> = { ...(message as Record<string, unknown>) };
  for (const name of foreign) delete own[name];
  return own as T;
}

function areOwn(messages: readonly unknown[], strict: boolean, longest: number): boolean {
  for (let index = 0; index < messages.length; index++) {
    const message = messages[index];
    if ((strict && hasForeign(message)) || hasForeignId(message, longest)) return false;
  }
  return true;
}

/**
 * Makes a conversation with another provider acceptable; empty if nothing changes. `strict`: unknown members of a
 * message are refused, as at OpenAI.
 */
export function messageEdits(
  { messages }: Readonly<Record<string, unknown>>,
  strict: boolean,
): Readonly<Record<string, unknown>> {
  if (!Array.isArray(messages)) return none;
  const longest = strict ? idRule.longest : maxElsewhereLength;
  const spelled = strict ? unmarkedMessages(withImageObjects(messages)) : withImageObjects(messages);
  if (areOwn(spelled, strict, longest)) return spelled === messages ? none : { messages: spelled };
  const mended = (message: unknown): unknown => withOwnIds(strict ? withoutForeign(message) : message, longest);
  return { messages: spelled.map(mended) };
}

/** All changes that a chat body needs for OpenAI's own models. */
function chatEdits(
  body: Readonly<Record<string, unknown>>,
  account: ProviderAccount,
  model: ProviderModel,
): Readonly<Record<string, unknown>> {
  return { ...limitEdits(body, account, model), ...memberEdits(body, model), ...messageEdits(body, true) };
}

/** Changes that a body needs where it passes through. */
export function openAiEdits(
  format: WireFormat,
  account: ProviderAccount,
  model: ProviderModel,
  body: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  if (format === "openai.responses") return responsesEdits(body);
  return format === "openai.chat" ? chatEdits(body, account, model) : none;
}

/** Names of members that a body loses by these changes. */
export const openAiDrops = (
  format: WireFormat,
  body: Readonly<Record<string, unknown>>,
  _account: ProviderAccount,
  model: ProviderModel,
): string[] => (format === "openai.chat" ? memberDrops(body, model) : []);

const anyModel: ModelFacts = {};

/** Changes for a cloud's endpoint in OpenAI's format, whose models are other makers'. */
export const cloudEdits = (body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => ({
  ...effortEdits(body, anyModel),
  ...messageEdits(body, false),
});

/** Names of members that a body loses by these changes. */
export const cloudDrops = (body: Readonly<Record<string, unknown>>): string[] => effortDrops(body, anyModel);

export interface MendedRequest {
  request: ChatRequest;
  dropped: string[];
}

/**
 * The same changes for a request that is built from the canonical form, and those that keep the model from refusing it.
 */
export function mended(
  given: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  strict: boolean,
): MendedRequest {
  const { request, dropped } = adapted(given, factsOf(model, strict ? openAiFacts : noFacts), strict);
  // Callers of other formats sent neither name. Every server knows this one.
  const named =
    !strict && account.config.options["maxTokensField"] === "AsSent" ? "max_tokens" : limitName(account, model);
  const edits = named === null ? none : limitAs(named, request);
  const messages: ChatMessage[] = strict ? request.messages.map(withoutForeign) : request.messages;
  const out: ChatRequest = { ...request, messages };
  for (const [name, value] of Object.entries(edits)) {
    if (value === undefined) delete out[name];
    else out[name] = value;
  }
  return { request: out, dropped };
}
