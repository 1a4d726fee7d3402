/**
 * What every translated chat has in common, whichever provider answers: names within the provider's bounds, an id for
 * each tool call, and one call where the client asked for one at a time.
 */
import { createHash } from "node:crypto";
import {
  type ChatChoice,
  type ChatReply,
  type ChatRequest,
  claudeWish,
  isRefusal,
  type ProviderError,
  type Refusal,
  refusal,
  type StreamEvent,
  type ToolCallDelta,
} from "../dialects/canonical.ts";
import { webSearch } from "../dialects/web-search.ts";
import { type BoundedNames, boundedRequest } from "./bounds.ts";
import { plainRequest } from "./plain-messages.ts";
import type { CallOptions, ChatCall, ChatStreamDecoder, Provider, ProviderAccount, ProviderModel } from "./provider.ts";

interface Calls {
  names: BoundedNames;
  /** Whether only the first call of each choice is passed on: providers without the switch may make several. */
  onlyOne: boolean;
  /** Distinguishes the ids made for this answer from those of other answers. */
  seed: string;
}

function madeId(seed: string, choice: number, index: number): string {
  return `call_${createHash("sha256").update(`${seed}:${choice}:${index}`).digest("base64url").slice(0, 24)}`;
}

function restoredChoice(choice: ChatChoice, { names, onlyOne, seed }: Calls): ChatChoice {
  const calls = choice.message.tool_calls;
  if (calls === undefined || calls.length === 0) return choice;
  const restored = (onlyOne ? calls.slice(0, 1) : calls).map((call, index) => ({
    ...call,
    id: call.id === "" ? madeId(seed, choice.index, index) : call.id,
    function: { ...call.function, name: names.decode(call.function.name) },
  }));
  return { ...choice, message: { ...choice.message, tool_calls: restored } };
}

/** Calls of a stream, by choice and index. */
class StreamCalls {
  readonly #calls: Calls;
  readonly #begun = new Set<string>();

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  event(event: StreamEvent): StreamEvent {
    if (event.kind !== "delta" || event.delta.tool_calls === undefined) return event;
    const { onlyOne } = this.#calls;
    const calls = onlyOne ? event.delta.tool_calls.filter((call) => call.index === 0) : event.delta.tool_calls;
    const { tool_calls: _calls, ...rest } = event.delta;
    if (calls.length === 0) return { ...event, delta: rest };
    return { ...event, delta: { ...rest, tool_calls: calls.map((call) => this.#call(call, event.choice)) } };
  }

  #call(call: ToolCallDelta, choice: number): ToolCallDelta {
    const { names, seed } = this.#calls;
    const place = `${choice}:${call.index}`;
    const id = this.#begun.has(place) ? call.id : call.id || madeId(seed, choice, call.index);
    this.#begun.add(place);
    const name = call.function?.name;
    return {
      ...call,
      ...(id === undefined ? {} : { id, type: "function" }),
      ...(name === undefined ? {} : { function: { ...call.function, name: names.decode(name) } }),
    };
  }
}

function restoring(decoder: ChatStreamDecoder, calls: Calls): ChatStreamDecoder {
  const stream = new StreamCalls(calls);
  const restored = (events: StreamEvent[]): StreamEvent[] => {
    for (const [index, event] of events.entries()) if (event.kind === "delta") events[index] = stream.event(event);
    return events;
  };
  return { push: (bytes) => restored(decoder.push(bytes)), end: () => restored(decoder.end()) };
}

const isReply = (answer: ChatReply | ProviderError): answer is ChatReply => "choices" in answer;

const onlyText = ({ modalities }: ChatRequest): boolean =>
  Array.isArray(modalities) && modalities.every((modality) => modality === "text");

/**
 * Without tools, what is said about their use has no effect, and OpenAI's servers refuse it. Text is what every model
 * answers with.
 */
function withoutIdleMembers(given: ChatRequest): ChatRequest {
  const { modalities: _modalities, ...rest } = given;
  const request: ChatRequest = onlyText(given) ? rest : given;
  return (request.tools ?? []).length > 0 ? request : withoutToolSettings(request);
}

function withoutToolSettings(request: ChatRequest): ChatRequest {
  const { parallel_tool_calls: _, ...rest } = request;
  if (rest.tool_choice === "auto" || rest.tool_choice === "none") delete rest.tool_choice;
  return rest;
}

/** Not every API has a place for the description of an answer's schema; within the schema, each has. */
function withDescribedSchema(request: ChatRequest): ChatRequest {
  const { response_format: format } = request;
  if (format?.type !== "json_schema" || !format.json_schema.description) return request;
  const { schema = {}, description } = format.json_schema;
  const own = typeof schema["description"] === "string" ? `${description}\n${schema["description"]}` : description;
  return {
    ...request,
    response_format: { ...format, json_schema: { ...format.json_schema, schema: { ...schema, description: own } } },
  };
}

/** Thinking that the caller doesn't want to see, which only some models of Claude's leave out. */
const shownAnyway = (request: ChatRequest, { body }: ChatCall): string[] =>
  request[claudeWish]?.thinking?.["display"] === "omitted" && !body.includes('"display":"omitted"')
    ? ["thinking.display"]
    : [];

/** Answers that aren't text, where the model can't make them. */
function unheard({ modalities }: ChatRequest, images: boolean): Refusal | null {
  const requested = Array.isArray(modalities) ? modalities : [];
  const other = requested.find((modality) => modality !== "text" && !(images && modality === "image"));
  return other === undefined
    ? null
    : refusal(
        "modalities",
        `The provider of this model doesn't answer with ${String(other).slice(0, 16)}. Leave \`modalities\` out, or choose another model.`,
      );
}

/** Without web search, where the provider can't search as the request asks. */
function withoutSearch(
  request: ChatRequest,
  provider: Provider,
  { account, model }: Target,
): { request: ChatRequest; dropped: string[] } {
  const { [webSearch]: wish, ...rest } = request;
  if (wish === undefined) return { request, dropped: [] };
  const can = provider.searches?.({ ...request, [webSearch]: wish }, account, model) === true;
  return can ? { request, dropped: [] } : { request: rest, dropped: [wish.name] };
}

interface Target {
  account: ProviderAccount;
  model: ProviderModel;
}

/** `seed`: the call's own id. Returns null if the provider has no chat. */
export function translatedChat(
  provider: Provider,
  request: ChatRequest,
  target: Target,
  options: CallOptions & { seed: string },
): ChatCall | Refusal | null {
  if (provider.chat === null) return null;
  const carries = provider.carries?.(target.account, target.model) ?? provider.capabilities.carries;
  const silent = unheard(request, carries?.imageModality === true);
  if (silent !== null) return silent;
  const searching = withoutSearch(withDescribedSchema(withoutIdleMembers(request)), provider, target);
  const plain = plainRequest(searching.request, carries);
  const bounded = boundedRequest(plain.request, provider.capabilities.bounds);
  const call = provider.chat(bounded.request, target.account, target.model, options);
  if (isRefusal(call)) return call;
  const calls: Calls = { names: bounded.names, onlyOne: request.parallel_tool_calls === false, seed: options.seed };
  return {
    ...call,
    dropped: [...searching.dropped, ...plain.dropped, ...call.dropped, ...shownAnyway(request, call)],
    decodeReply(body, headers) {
      const answer = call.decodeReply(body, headers);
      if (!isReply(answer)) return answer;
      return { ...answer, choices: answer.choices.map((choice) => restoredChoice(choice, calls)) };
    },
    decoder: (maxEventBytes) => restoring(call.decoder(maxEventBytes), calls),
  };
}
