/** Prepares a call whose bytes pass through unchanged both ways, but for the edits that the route and the provider need. */
import type { Buffer } from "node:buffer";
import type { Shaped } from "../call/shaped.ts";
import type { WireFormat } from "../config/capabilities.ts";
import { isRefusal, type ProviderError } from "../dialects/canonical.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { invalidReply } from "../dialects/invalid-reply.ts";
import { embeddings } from "../dialects/openai-embeddings.ts";
import { dialects } from "../dialects/registry.ts";
import { judgeReply } from "../dialects/verdict/answer.ts";
import { surelyAnswer } from "../dialects/verdict/skim.ts";
import { usualBytes } from "../dialects/verdict/spelling.ts";
import { type Failure, failure } from "../failure.ts";
import { answersHoldIds, remembering } from "../ids/seal-reply.ts";
import { errorInAnswer } from "../providers/errors.ts";
import type { Outgoing, Provider } from "../providers/provider.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import { applyEdits } from "../wire/json-edit.ts";
import type { ResponseHeaders } from "../wire/upstream.ts";
import type { IdSealer, PrepareContext, Prepared } from "./prepared.ts";
import { passthroughReader, type StreamReader } from "./reader.ts";
import { withSealedIds } from "./sealed-answer.ts";
import { passedReply, type WholeReply } from "./whole-reply.ts";

export const asksForUsage = (options: unknown): boolean => isObject(options) && options["include_usage"] === true;

/** Formats whose streams contain usage only on request. */
export const reportsUsageOnRequest = (format: WireFormat): boolean =>
  format === "openai.chat" || format === "openai.completions";

const none: JsonObject = {};

/** Edits of the bytes sent to a target: the route's first, then those that provider and gateway need. */
function bodyEdits({ edits, received }: Shaped, upstream: string, hideUsage: boolean, own: JsonObject): JsonObject {
  const all: JsonObject = {};
  for (const name in edits) if (name !== "model") all[name] = edits[name];
  if (received.json["model"] !== upstream) all["model"] = upstream;
  if (hideUsage) {
    const options = received.json["stream_options"];
    all["stream_options"] = { ...(isObject(options) ? options : {}), include_usage: true };
  }
  for (const name in own) all[name] = own[name];
  return all;
}

/** The body as the route has changed it; the caller's own if nothing changed. */
function edited({ edits, received }: Shaped): JsonObject {
  for (const _ in edits) return { ...received.json, ...edits };
  return received.json;
}

interface PassedOptions {
  /** Parameters that the server refuses. */
  dropped: string[];
  /** Whether only the gateway, and not the client, requests usage in the stream. The observer then removes it. */
  hideUsage: boolean;
  /** Whether this is a chat with one choice, which ends with its finish reason. */
  oneChoice: boolean;
}

/** Prepares a call whose bytes pass through unchanged both ways. */
class PassedThrough implements Prepared {
  readonly outgoing: Outgoing;
  readonly dropped: string[];
  readonly translated = false;
  readonly #dialect: Dialect | undefined;
  readonly #hideUsage: boolean;
  readonly #oneChoice: boolean;
  readonly #format: WireFormat;
  readonly #decodeError: Provider["decodeError"];
  readonly #context: PrepareContext;

  constructor(
    outgoing: Outgoing,
    format: WireFormat,
    { hideUsage, oneChoice, dropped }: PassedOptions,
    provider: Provider,
    context: PrepareContext,
  ) {
    this.outgoing = outgoing;
    this.dropped = dropped;
    this.#format = format;
    this.#dialect = dialects[format];
    this.#decodeError = provider.decodeError;
    this.#context = context;
    this.#hideUsage = hideUsage;
    this.#oneChoice = oneChoice;
  }

  whole(bytes: Buffer, headers: ResponseHeaders): WholeReply | ProviderError {
    const usual = usualBytes(bytes);
    if (!surelyAnswer(this.#format, usual)) {
      const failed = this.#judged(bytes, headers);
      if (failed !== null) return failed;
    }
    return passedReply(bytes, (this.#dialect ?? embeddings).usageOf, this.#format === "openai.responses", usual);
  }

  #judged(bytes: Buffer, headers: ResponseHeaders): ProviderError | null {
    const body = jsonIn(bytes.toString("utf8"));
    const verdict = body === undefined ? null : judgeReply(this.#format, body);
    if (verdict?.kind === "answer") return null;
    return verdict?.kind === "error"
      ? errorInAnswer(verdict.body, this.#decodeError, { headers, nowMs: this.#context.nowMs })
      : invalidReply();
  }

  reader(): StreamReader | null {
    if (this.#dialect === undefined) return null;
    const { maxEventBytes } = this.#context;
    const options = { hideUsage: this.#hideUsage, ...(maxEventBytes === undefined ? {} : { maxEventBytes }) };
    return passthroughReader(this.#dialect.observer(options), this.#decodeError, this.#oneChoice);
  }
}

export function passthrough(
  shaped: Shaped,
  { entry, model }: ResolvedTarget,
  path: string,
  context: PrepareContext,
): Prepared | Failure {
  const { received, format } = shaped;
  const asked = edited(shaped);
  const own = entry.provider.passthroughEdits?.(format, entry.account, model, asked) ?? none;
  if (isRefusal(own)) return failure(own.code, own.message, { param: own.param ?? "" });
  const dropped = entry.provider.passthroughDrops?.(format, asked, entry.account, model) ?? [];
  const oneChoice = reportsUsageOnRequest(format) && (received.json["n"] ?? 1) === 1;
  const hideUsage = received.stream && reportsUsageOnRequest(format) && !asksForUsage(received.json["stream_options"]);
  const body = applyEdits(received.bytes, received.outline, bodyEdits(shaped, model.config.upstream, hideUsage, own));
  const headers: Record<string, string> = { "content-type": "application/json" };
  const forwarded = entry.provider.passthroughHeaders?.(context.forwarded, entry.account, model) ?? context.forwarded;
  for (const name in forwarded) headers[name] = forwarded[name] ?? "";
  const outgoing: Outgoing = { method: "POST", path, headers, body };
  const passed = new PassedThrough(outgoing, format, { hideUsage, oneChoice, dropped }, entry.provider, context);
  const { sealer } = context;
  if (sealer === undefined || !answersHoldIds(shaped)) return passed;
  return sealing(passed, sealer, entry.account.config.id, format === "openai.responses");
}

function sealing(passed: Prepared, sealer: IdSealer, provider: string, root: boolean): Prepared {
  const seal = remembering((id) => sealer.sealId(provider, id));
  return withSealedIds(passed, seal, root);
}
