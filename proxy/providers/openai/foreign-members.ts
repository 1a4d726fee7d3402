/**
 * Members that clients of other APIs and of gateways write into a chat and that OpenAI refuses: marks for a prompt
 * cache, which it has without them, and other words for `reasoning_effort`. Pure.
 */
import { effortAsked, reasoningMembers, unreadReasoning } from "../../dialects/openai-chat/spellings.ts";
import { isObject, isSet } from "../../wire/json.ts";
import { factsOf, type ModelFacts, nearestEffort } from "../model-facts.ts";
import type { ProviderModel } from "../provider.ts";
import { openAiFacts } from "./models.ts";

type Body = Readonly<Record<string, unknown>>;
const mark = "cache_control";

const isMarked = (value: unknown): boolean => isObject(value) && Object.hasOwn(value, mark);

function unmarked(value: unknown): unknown {
  if (!isObject(value) || !isMarked(value)) return value;
  const { [mark]: _, ...rest } = value;
  return rest;
}

/** Whether it, or an element of its list `name`, is marked. */
const isMarkedWithin = (value: unknown, name: string): boolean => {
  const inner = isObject(value) ? value[name] : undefined;
  return isMarked(value) || (Array.isArray(inner) ? inner.some(isMarked) : isMarked(inner));
};

function unmarkedWithin(value: unknown, name: string): unknown {
  if (!isObject(value) || !isMarkedWithin(value, name)) return value;
  const { [mark]: _, ...own } = value;
  const inner = own[name];
  return {
    ...own,
    ...(inner === undefined ? {} : { [name]: Array.isArray(inner) ? inner.map(unmarked) : unmarked(inner) }),
  };
}

/** The list itself if nothing in it is marked. */
function withoutMarks(list: unknown, name: string): unknown {
  return Array.isArray(list) && list.some((element) => isMarkedWithin(element, name))
    ? list.map((element: unknown) => unmarkedWithin(element, name))
    : list;
}

export const unmarkedMessages = (messages: readonly unknown[]): readonly unknown[] =>
  withoutMarks(messages, "content") as readonly unknown[];

const marked = ({ messages, tools, [mark]: whole }: Body): boolean =>
  isSet(whole) || withoutMarks(messages, "content") !== messages || withoutMarks(tools, "function") !== tools;

interface Effort {
  /** null if none is requested. */
  asked: string | null;
  /** null if the model accepts none. */
  effort: string | null;
  /** Names under which it was requested. */
  names: string[];
}

/**
 * The effort that a chat requests under other names than OpenAI's; null if it doesn't, or not in a form that can be
 * read.
 */
function effortInOtherWords(body: Body, facts: ModelFacts): Effort | null {
  const names = reasoningMembers.filter((name) => isSet(body[name]));
  const asked = names.length === 0 ? null : effortAsked(body as Record<string, unknown>);
  if (names.length === 0 || (typeof asked === "object" && asked !== null)) return null;
  return { asked, effort: asked === null ? null : nearestEffort(asked, facts), names };
}

const factsAtOpenAi = (model: ProviderModel): ModelFacts => factsOf(model, openAiFacts);

/** `reasoning_effort` in place of other names for it; empty if there are none. */
export function effortEdits(body: Body, facts: ModelFacts): Body {
  const wish = effortInOtherWords(body, facts);
  if (wish === null) return {};
  const edits: Record<string, unknown> = Object.fromEntries(wish.names.map((name) => [name, undefined]));
  return wish.effort === null ? edits : { ...edits, reasoning_effort: wish.effort };
}

/** Names of members that are lost by this. */
export function effortDrops(body: Body, facts: ModelFacts): string[] {
  const wish = effortInOtherWords(body, facts);
  if (wish === null) return [];
  // A model that doesn't reason does as it is asked.
  const lost = wish.asked !== null && wish.asked !== "none" && wish.effort === null;
  return [...(lost ? wish.names : []), ...unreadReasoning(body as Record<string, unknown>)];
}

/** Edits of a chat's members besides its messages; empty if nothing changes. */
export function memberEdits(body: Body, model: ProviderModel): Body {
  const edits: Record<string, unknown> = { ...effortEdits(body, factsAtOpenAi(model)) };
  if (mark in body) edits[mark] = undefined;
  const tools = withoutMarks(body["tools"], "function");
  if (tools !== body["tools"]) edits["tools"] = tools;
  return edits;
}

const hasImages = (message: unknown): boolean => isObject(message) && isSet(message["images"]);

/** Names of members that a chat to OpenAI loses. */
export function memberDrops(body: Body, model: ProviderModel): string[] {
  const { messages } = body;
  const pictures = Array.isArray(messages) && messages.some(hasImages);
  return [
    ...effortDrops(body, factsAtOpenAi(model)),
    ...(marked(body) ? [mark] : []),
    ...(pictures ? ["messages.images"] : []),
  ];
}
