/** Stage: the route's defaults, overrides and prompts. What passes through untouched stays untouched. */

import type { Identity } from "../call/identity.ts";
import type { Received } from "../call/received.ts";
import { type Compaction, requiredMember, type Shaped } from "../call/shaped.ts";
import { isChat, type TextWireFormat, type WireFormat } from "../config/capabilities.ts";
import type { TargetConfig } from "../config/route.ts";
import {
  type ChatMessage,
  type ChatRequest,
  type EmbeddingsRequest,
  isRefusal,
  type Refusal,
  refusal,
} from "../dialects/canonical.ts";
import { embeddings } from "../dialects/openai-embeddings.ts";
import { dialects } from "../dialects/registry.ts";
import { type Failure, failure, isFailure } from "../failure.ts";
import { memberOf } from "../media/form.ts";
import { mediaFormat } from "../media/registry.ts";
import { takenFor } from "../snapshot/acted-names.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { JsonObject } from "../wire/json.ts";
import { type Prompts, promptsOf, withPrompts } from "./prompts.ts";
import type { Masked } from "./proof.ts";
import type { Routed } from "./route.ts";
import { missingMemberHint } from "./unknown-url.ts";

/** The member that limits an answer's length in each format. */
export const capMember: Readonly<Record<TextWireFormat, string | null>> = {
  "openai.chat": "max_completion_tokens",
  "openai.completions": "max_tokens",
  "openai.embeddings": null,
  "openai.responses": "max_output_tokens",
  "anthropic.messages": "max_tokens",
};

/** Two names for one limit: setting either sets it. */
const synonyms: Readonly<Record<string, string>> = {
  max_tokens: "max_completion_tokens",
  max_completion_tokens: "max_tokens",
};

function given(json: JsonObject, name: string): boolean {
  const other = synonyms[name];
  return (json[name] ?? null) !== null || (other !== undefined && (json[other] ?? null) !== null);
}

function override(edits: JsonObject, overrides: Readonly<Record<string, unknown>>, json: JsonObject): void {
  for (const name in overrides) {
    edits[name] = overrides[name];
    const other = synonyms[name];
    if (other !== undefined && (other in json || other in edits) && !(other in overrides)) edits[other] = undefined;
  }
}

export function parameterEdits(route: Route, json: JsonObject): JsonObject {
  const { defaults, overrides } = route.config.request;
  const edits: JsonObject = {};
  for (const name in defaults) if (!given(json, name)) edits[name] = defaults[name];
  override(edits, overrides, json);
  return edits;
}

/** Policies set parameters for chats; returns those that this format has as well. */
function settableOnly(edits: JsonObject, format: WireFormat): JsonObject {
  const media = mediaFormat(format);
  if (media === null) return edits;
  const names = Object.keys(edits).filter((name) => name === "model" || media.settable.has(name));
  return Object.fromEntries(names.map((name) => [name, edits[name]]));
}

const hasUpload = ({ parts }: Received, name: string): boolean =>
  parts?.some((part) => part.filename !== null && memberOf(part) === name) ?? false;

const wishName = "prefer_provider";

interface Wish {
  given: boolean;
  preferred: string | null;
}

const noWish: Wish = { given: false, preferred: null };

/** Removes the gateway's own member. An unknown name has no effect, as it is only a preference. */
function takeWish(json: JsonObject): Wish | Failure {
  const wish = json[wishName];
  if (wish === undefined) return noWish;
  if (wish !== null && typeof wish !== "string")
    return failure("invalid_value", "`prefer_provider` must be the name of a target.", { param: wishName });
  delete json[wishName];
  return { given: true, preferred: wish };
}

/** Returns a new object: the body with the edits applied. */
function edited(json: JsonObject, edits: JsonObject): JsonObject {
  const out: JsonObject = { ...json };
  for (const name in edits) {
    if (edits[name] === undefined) delete out[name];
    else out[name] = edits[name];
  }
  return out;
}

const nothing: readonly string[] = [];

/** `prompts`: null if the route has none for this format. */
class ShapedBody implements Shaped {
  readonly format: WireFormat;
  readonly received: Received;
  readonly model: string | null;
  readonly preferred: string | null;
  readonly filled: readonly string[];
  readonly edits: JsonObject;
  readonly opened: string[];
  readonly mustTranslate: boolean;
  readonly compaction: Compaction | null;
  readonly #prompts: Prompts | null;
  readonly #wish: Wish;
  #chat: ChatRequest | Refusal | null = null;
  #embeddings: EmbeddingsRequest | Refusal | null = null;

  constructor(
    received: Received,
    format: WireFormat,
    model: string | null,
    wish: Wish,
    edits: JsonObject,
    prompts: Prompts | null,
    compaction: Compaction | null,
    opened: string[] = [],
  ) {
    this.opened = opened;
    this.compaction = compaction;
    this.format = format;
    this.received = received;
    this.model = model;
    this.#wish = wish;
    this.preferred = wish.preferred;
    this.edits = edits;
    this.#prompts = prompts;
    // In OpenAI's chat they are among the edits.
    this.filled =
      prompts === null || format === "openai.chat"
        ? nothing
        : withPrompts(prompts, []).map(({ content }) => String(content));
    this.mustTranslate = format !== "openai.chat" && isChat(format) && (prompts !== null || hasOthers(edits));
  }

  /** Only chats have the parameters of a sampled answer. */
  forTarget({ parameters }: TargetConfig): Shaped {
    if (parameters === undefined || !isChat(this.format)) return this;
    const edits = { ...this.edits };
    override(edits, parameters, this.received.json);
    const { received, format, model, compaction, opened } = this;
    return new ShapedBody(received, format, model, this.#wish, edits, this.#prompts, compaction, opened);
  }

  chat(): ChatRequest | Refusal {
    return (this.#chat ??= this.#decodeChat());
  }

  embeddings(): EmbeddingsRequest | Refusal {
    return (this.#embeddings ??= embeddings.decode({
      ...edited(this.received.json, this.edits),
      model: this.model ?? "",
    }));
  }

  #decodeChat(): ChatRequest | Refusal {
    const dialect = dialects[this.format];
    if (dialect === undefined) return refusal(null, "This operation can't be translated to a chat.");
    const ofOpenAi = this.format === "openai.chat";
    const decoded = dialect.decode({
      ...edited(this.received.json, ofOpenAi ? this.edits : {}),
      model: this.model ?? "",
    });
    if (isRefusal(decoded) || ofOpenAi) return decoded;
    const request = edited(decoded, canonicalEdits(this.edits, this.opened)) as ChatRequest;
    return this.#prompts === null ? request : { ...request, messages: withPrompts(this.#prompts, request.messages) };
  }
}

/** Edits that cannot be expressed in the bytes of another format. */
function hasOthers(edits: JsonObject): boolean {
  for (const name in edits) if (name !== "model" && name !== wishName) return true;
  return false;
}

/** The failure if the provider could take a member for one that the gateway checks. */
export function mistakenName(route: Route, name: string): Failure | null {
  const meant = takenFor(route.acted, name);
  if (meant === null) return null;
  const message = `A member differs from \`${meant}\` only in case, and some providers take one for the other. Write \`${meant}\`.`;
  return failure("invalid_value", message, { param: meant });
}

function lookAlike(route: Route, received: Received): Failure | null {
  for (const { name } of received.outline.members) {
    const mistaken = mistakenName(route, name);
    if (mistaken !== null) return mistaken;
  }
  return null;
}

function missingMember(received: Received, format: WireFormat, compacts: boolean): Failure | null {
  const { json, parts } = received;
  // An earlier answer can be compacted as it is.
  if (compacts && (json["previous_response_id"] ?? null) !== null) return null;
  const needed = requiredMember[format];
  if ((json[needed] ?? null) === null && !hasUpload(received, needed))
    return failure("missing_required_parameter", missingMemberHint(needed, json), { param: needed });
  const upload = parts === undefined ? null : (mediaFormat(format)?.upload ?? null);
  if (upload === null || hasUpload(received, upload)) return null;
  return failure("missing_required_parameter", `The form has no file \`${upload}\`. Upload one.`, { param: upload });
}

export interface ShapedFor {
  routed: Routed;
  format: WireFormat;
  identity: Identity;
  nowMs: number;
  /** Whether the call asks for a compacted conversation. */
  compacts?: boolean | undefined;
}

export function shape(
  received: Masked,
  { routed: { route, model }, format, identity, nowMs, compacts = false }: ShapedFor,
): Shaped | Failure {
  const { json } = received;
  const alike = lookAlike(route, received);
  if (alike !== null) return alike;
  const wish = takeWish(json);
  if (isFailure(wish)) return wish;
  const edits = settableOnly(parameterEdits(route, json), format);
  if (wish.given) edits[wishName] = undefined;
  const named = edits["model"] ?? model;
  const effective = typeof named === "string" ? named : null;
  const missing = missingMember(received, format, compacts);
  if (missing !== null) return missing;
  const hasPrompts = route.config.request.prompts.length > 0 && isChat(format);
  const prompts = hasPrompts ? promptsOf(route, identity, effective, nowMs) : null;
  if (format === "openai.chat" && prompts !== null) {
    const { messages } = json;
    if (!Array.isArray(messages)) return failure("invalid_value", "`messages` must be a list.", { param: "messages" });
    edits["messages"] = withPrompts(prompts, messages as ChatMessage[]);
  }
  const compaction = compacts ? { byGateway: route.guard !== null || route.masker !== null } : null;
  return new ShapedBody(received, format, effective, wish, edits, prompts, compaction);
}

/** Edits of a canonical request. The model is already chosen; of two names for one limit, the edited one applies. */
function canonicalEdits(edits: JsonObject, opened: readonly string[]): JsonObject {
  const { model: _model, max_output_tokens: _cap, ...rest } = edits;
  for (const name of opened) delete rest[name];
  for (const name of Object.keys(rest)) {
    const other = synonyms[name];
    if (other !== undefined && !(other in rest)) rest[other] = undefined;
  }
  return rest;
}
