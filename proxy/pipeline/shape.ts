/** Stage: the route's defaults, overrides and prompts. What passes through untouched stays untouched. */
import type { WireFormat } from "../config/capabilities.ts";
import { type ChatMessage, type ChatRequest, type EmbeddingsRequest, isRefusal, type JsonObject, type Refusal, refusal } from "../dialects/canonical.ts";
import { embeddings } from "../dialects/openai-embeddings.ts";
import { dialects } from "../dialects/registry.ts";
import { type Failure, failure } from "../failure.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { Identity } from "./authenticate.ts";
import type { Received } from "./receive.ts";

export interface Shaped {
  format: WireFormat;
  received: Received;
  /** The model asked for once overrides and defaults had their say; null where only the target knows. */
  model: string | null;
  /** The target or provider that the caller would like best: `prefer_provider` of the body. */
  preferred: string | null;
  /** What of the route's prompts depends on the caller or the day, and is not among the edits: the texts, filled in. */
  filled: readonly string[];
  /** Edits of the top level of the client's body. */
  edits: JsonObject;
  /** Only the canonical form can carry what the route adds, so bytes in this format can't pass through. */
  mustTranslate: boolean;
  /** The canonical request, decoded on first use. `model` is what the client shall see. */
  chat(): ChatRequest | Refusal;
  embeddings(): EmbeddingsRequest | Refusal;
}

/** The member that a format can't do without. */
export const requiredMember: Readonly<Record<WireFormat, string>> = {
  "openai.chat": "messages",
  "openai.completions": "prompt",
  "openai.embeddings": "input",
  "openai.responses": "input",
  "anthropic.messages": "messages",
};

/** The member by which a format limits an answer's length. */
export const capMember: Readonly<Record<WireFormat, string | null>> = {
  "openai.chat": "max_completion_tokens",
  "openai.completions": "max_tokens",
  "openai.embeddings": null,
  "openai.responses": "max_output_tokens",
  "anthropic.messages": "max_tokens",
};

/** One limit by two names: a caller that gave either has given it. */
const synonyms: Readonly<Record<string, string>> = { max_tokens: "max_completion_tokens", max_completion_tokens: "max_tokens" };

function given(json: JsonObject, name: string): boolean {
  const other = synonyms[name];
  return (json[name] ?? null) !== null || (other !== undefined && (json[other] ?? null) !== null);
}

function parameterEdits(route: Route, json: JsonObject): JsonObject {
  const { defaults, overrides } = route.config.request;
  const edits: JsonObject = {};
  for (const name in defaults) if (!given(json, name)) edits[name] = defaults[name];
  for (const name in overrides) {
    edits[name] = overrides[name];
    const other = synonyms[name];
    if (other !== undefined && other in json && !(other in overrides)) edits[other] = undefined;
  }
  return edits;
}

const wishName = "prefer_provider";

/** The gateway's own member goes no further; a name that is not there changes nothing, as it is a wish. */
function takeWish(json: JsonObject): { given: boolean; preferred: string | null } | Failure {
  const given = Object.hasOwn(json, wishName);
  const wish = json[wishName] ?? null;
  if (wish !== null && typeof wish !== "string") return failure("invalid_value", "`prefer_provider` must be the name of a target.", { param: wishName });
  delete json[wishName];
  return { given, preferred: wish };
}

function promptMessages(route: Route, position: "Prepend" | "Append", variables: Readonly<Record<string, string>>): ChatMessage[] {
  return route.config.request.prompts
    .filter((prompt) => prompt.position === position)
    .map((prompt) => ({ role: prompt.role as ChatMessage["role"], content: fillIn(prompt.content, variables) }));
}

function fillIn(template: string, variables: Readonly<Record<string, string>>): string {
  return template.replace(/\{\{ *([a-z]+) *\}\}/g, (whole, name: string) => (Object.hasOwn(variables, name) ? (variables[name] ?? "") : whole));
}

function variablesOf(identity: Identity, model: string | null, nowMs: number): Record<string, string> {
  const key = identity.anonymous ? null : identity.key;
  return { user: key?.user ?? "", team: key?.team ?? "", role: key?.role ?? "", model: model ?? "", date: new Date(nowMs).toISOString().slice(0, 10) };
}

/** The body with edits made, as an object of its own. */
function edited(json: JsonObject, edits: JsonObject): JsonObject {
  const out: JsonObject = { ...json };
  for (const name in edits) {
    if (edits[name] === undefined) delete out[name];
    else out[name] = edits[name];
  }
  return out;
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

const nothing: readonly string[] = [];

export function shape(received: Received, format: WireFormat, route: Route, model: string | null, identity: Identity, nowMs: number): Shaped | Failure {
  const wish = takeWish(received.json);
  if ("code" in wish) return wish;
  const edits = parameterEdits(route, received.json);
  if (wish.given) edits[wishName] = undefined;
  const named = edits["model"] ?? model;
  const effective = typeof named === "string" ? named : null;
  const hasPrompts = route.config.request.prompts.length > 0 && format !== "openai.embeddings";
  const variables = hasPrompts ? variablesOf(identity, effective, nowMs) : {};
  const withPrompts = (messages: readonly ChatMessage[]): ChatMessage[] => [
    ...promptMessages(route, "Prepend", variables),
    ...messages,
    ...promptMessages(route, "Append", variables),
  ];
  // In the other formats they are among the edits, or there are none.
  const filled = () => withPrompts([]).map(({ content }) => String(content));
  const needed = requiredMember[format];
  if ((received.json[needed] ?? null) === null) {
    return failure("missing_required_parameter", `The request has no \`${needed}\`. Add it.`, { param: needed });
  }
  if (format === "openai.chat" && hasPrompts) {
    if (!Array.isArray(received.json["messages"])) return failure("invalid_value", "`messages` must be a list.", { param: "messages" });
    edits["messages"] = withPrompts(received.json["messages"] as ChatMessage[]);
  }
  const decodeChat = (): ChatRequest | Refusal => {
    const dialect = dialects[format];
    if (dialect === undefined) return refusal(null, "This operation has no chat form.");
    const decoded = dialect.decode({ ...edited(received.json, format === "openai.chat" ? edits : {}), model: effective ?? "" });
    if (isRefusal(decoded) || format === "openai.chat") return decoded;
    const request = edited(decoded, canonicalEdits(edits)) as ChatRequest;
    return hasPrompts ? { ...request, messages: withPrompts(request.messages) } : request;
  };
  return {
    format,
    received,
    model: effective,
    preferred: wish.preferred,
    filled: format === "openai.chat" ? nothing : filled(),
    edits,
    mustTranslate:
      format !== "openai.chat" && format !== "openai.embeddings" && (hasPrompts || Object.keys(edits).some((name) => name !== "model" && name !== wishName)),
    chat: once(decodeChat),
    embeddings: once(() => embeddings.decode({ ...edited(received.json, edits), model: effective ?? "" })),
  };
}

/** Edits of a canonical request: the model is settled already, and of two names for one limit the edited one counts. */
function canonicalEdits(edits: JsonObject): JsonObject {
  const { model: _model, max_output_tokens: _cap, ...rest } = edits;
  for (const name of Object.keys(rest)) {
    const other = synonyms[name];
    if (other !== undefined && !(other in rest)) rest[other] = undefined;
  }
  return rest;
}
