/**
 * Calls with one request and one answer that pass through in the API's own form: images, audio, moderations, reranking.
 * A format says what a call can use at most, what its answer reports, and what it uses where the answer reports nothing.
 */
import type { Price } from "../config/price.ts";
import type { Usage } from "../dialects/canonical.ts";
import type { JsonObject } from "../wire/json.ts";
import type { FormPart } from "./form.ts";

export interface MediaRequest {
  /** Members or fields, with the route's edits. */
  json: JsonObject;
  /** Empty for a JSON body. */
  parts: readonly FormPart[];
}

/** json: read whole. text: subtitles or plain text, read whole. bytes: passed on as they arrive. events: a stream. */
export type AnswerKind = "json" | "text" | "bytes" | "events";

export interface MediaFormat {
  /** For messages, such as "image generation". */
  title: string;
  body: "json" | "form" | "either";
  /** The upload that a form must have; null for none. */
  upload: string | null;
  /** Members that a policy may set by defaults and overrides. */
  settable: ReadonlySet<string>;
  answerKind(json: JsonObject): AnswerKind;
  /** Usage that an answer, or the last event of a stream, reports; null if it reports none. */
  usageOf(answer: JsonObject, request: MediaRequest): Usage | null;
  /** Whether an answer in text has the form that was asked for; absent if any text has. */
  isFormed?(text: string, json: JsonObject): boolean;
  /** Usage of an answer in text; absent if the text tells none. */
  usageOfText?(text: string): Usage | null;
  most(request: MediaRequest, price: Price | null): Usage;
  expected(request: MediaRequest, price: Price | null): Usage;
}

export const noUsage: Usage = {
  prompt: 0,
  cachedPrompt: 0,
  cacheWrite: 0,
  completion: 0,
  reasoning: 0,
  estimated: false,
};

/** Whether the model is charged by tokens. */
export const byTokens = (price: Price | null): boolean =>
  price !== null && [price.input, price.output, ...Object.values(price.units ?? {})].some((rate) => rate > 0);

export const textIn = (value: unknown): string =>
  typeof value === "string"
    ? value
    : Array.isArray(value)
      ? value.filter((element) => typeof element === "string").join("\n")
      : "";

/** Four characters per token. */
export const roughTokens = (text: string): number => Math.ceil(text.length / 4);
