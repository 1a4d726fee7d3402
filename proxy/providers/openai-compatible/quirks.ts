/** Changes that a chat needs for a server that deviates from OpenAI's format, as the account's options say. Pure. */

import type { WireFormat } from "../../config/capabilities.ts";
import type { ChatRequest } from "../../dialects/canonical.ts";
import { isObject } from "../../wire/json.ts";
import { factsOf, type ModelFacts } from "../model-facts.ts";
import { effortDrops, effortEdits } from "../openai/foreign-members.ts";
import { limitEdits, type MendedRequest, mended, messageEdits, withoutForeign } from "../openai/mend.ts";
import type { ProviderAccount, ProviderModel } from "../provider.ts";

type Body = Readonly<Record<string, unknown>>;
const none: Body = {};

/** Parameters whose loss changes the meaning of a request: `unsupported` doesn't apply to them. */
const essential: ReadonlySet<string> = new Set(["model", "messages", "stream", "tools", "tool_choice", "n"]);

/** Names in `body` that the server refuses. */
function unsupportedIn(body: Body, { config }: ProviderAccount): string[] {
  const { unsupported } = config.options;
  if (unsupported === undefined) return [];
  return unsupported.split(",").filter((name) => !essential.has(name) && (body[name] ?? null) !== null);
}

const hasName = (message: unknown): boolean => isObject(message) && (message["name"] ?? null) !== null;

function withoutName(message: unknown): unknown {
  if (!isObject(message) || !("name" in message)) return message;
  const { name: _name, ...rest } = message;
  return rest;
}

/** Names of what the server refuses, in `body` or in its messages. */
function lostFrom(body: Body, account: ProviderAccount): string[] {
  const { messages } = body;
  const named = account.config.options["messageNames"] === "Drop" && Array.isArray(messages) && messages.some(hasName);
  return [...unsupportedIn(body, account), ...(named ? ["messages.name"] : [])];
}

const asSystem = (message: unknown): unknown =>
  isObject(message) && message["role"] === "developer" ? { ...message, role: "system" } : message;

/** The messages as the server accepts them; the same array if nothing changes. */
function acceptedMessages(messages: readonly unknown[], { config }: ProviderAccount): readonly unknown[] {
  const { developerRole, earlierReasoning, messageNames } = config.options;
  let out = messages;
  if (earlierReasoning === "Drop") out = out.map(withoutForeign);
  if (developerRole === "System") out = out.map(asSystem);
  if (messageNames === "Drop") out = out.map(withoutName);
  return out.some((message, index) => message !== messages[index]) ? out : messages;
}

/** What the options change, apart from the token limit: member → new value, or undefined to leave it out. */
function quirkEdits(body: Body, account: ProviderAccount): Body {
  const { messages, stop } = body;
  const changed = Array.isArray(messages) ? acceptedMessages(messages, account) : messages;
  const isListed = typeof stop === "string" && account.config.options["stop"] === "List";
  const dropped = unsupportedIn(body, account);
  if (changed === messages && !isListed && dropped.length === 0) return none;
  return {
    ...(changed === messages ? none : { messages: changed }),
    ...(isListed ? { stop: [stop] } : none),
    ...Object.fromEntries(dropped.map((name) => [name, undefined])),
  };
}

const takesOnlyEffort = ({ config }: ProviderAccount): boolean => config.options["reasoning"] === "Effort";

/** The LLMProvider's settings for the model. */
const declaredFacts = (model: ProviderModel): ModelFacts => factsOf(model, () => ({}));

/** All changes that a chat needs where it passes through. */
export function chatQuirks(body: Body, account: ProviderAccount, model: ProviderModel): Body {
  const effort = takesOnlyEffort(account) ? effortEdits(body, declaredFacts(model)) : none;
  const usual = { ...limitEdits(body, account, model), ...effort, ...messageEdits(body, false) };
  return { ...usual, ...quirkEdits({ ...body, ...usual }, account) };
}

/** The same for a request that is built from the canonical form. */
export function quirked(given: ChatRequest, account: ProviderAccount, model: ProviderModel): MendedRequest {
  const { request, dropped } = mended(given, account, model, false);
  const out: ChatRequest = { ...request };
  for (const [name, value] of Object.entries(quirkEdits(out, account))) {
    if (value === undefined) delete out[name];
    else out[name] = value;
  }
  return { request: out, dropped: [...dropped, ...lostFrom(request, account)] };
}

/** Names that a passed-through body loses. */
export function droppedIn(format: WireFormat, body: Body, account: ProviderAccount, model: ProviderModel): string[] {
  if (format !== "openai.chat") return [];
  const effort = takesOnlyEffort(account) ? effortDrops(body, declaredFacts(model)) : [];
  return [...effort, ...lostFrom(body, account)];
}
