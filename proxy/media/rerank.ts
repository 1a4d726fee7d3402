/**
 * Reranking in the shape of Cohere's v2 API (https://docs.cohere.com/reference/rerank), which Jina
 * (https://api.jina.ai/redoc) and vLLM share but for the usage.
 */
import { Buffer } from "node:buffer";
import type { Price } from "../config/price.ts";
import type { Usage } from "../dialects/canonical.ts";
import { Counts, member } from "../dialects/usage-counts.ts";
import { isObject, type JsonObject } from "../wire/json.ts";
import { byTokens, type MediaFormat, type MediaRequest, noUsage } from "./format.ts";

/** A search unit is one query with up to 100 documents; a long document counts by its parts of this many tokens. */
const documentsPerUnit = 100;
const tokensPerPart = 500;

const textOf = (document: unknown): string => {
  if (typeof document === "string") return document;
  return isObject(document) && typeof document["text"] === "string" ? document["text"] : JSON.stringify(document ?? "");
};

function textsIn({ json }: MediaRequest): { query: string; documents: string[] } {
  const documents = Array.isArray(json["documents"]) ? json["documents"].map(textOf) : [];
  return { query: textOf(json["query"] ?? ""), documents };
}

function usageOf(answer: JsonObject): Usage | null {
  const billed = member(member(answer, "meta"), "billed_units");
  const usage = member(answer, "usage");
  const counts = new Counts();
  const searchUnit = counts.of(billed["search_units"]);
  const prompt = counts.of(usage["total_tokens"] ?? usage["prompt_tokens"] ?? billed["input_tokens"]);
  if (prompt + searchUnit === 0) return null;
  return counts.usage({ ...noUsage, prompt }, { units: { searchUnit } });
}

/** `tokensOf`: of a text. Servers read the query with each document. */
function ranked(request: MediaRequest, price: Price | null, tokensOf: (text: string) => number): Usage {
  const { query, documents } = textsIn(request);
  const queryTokens = tokensOf(query);
  let [parts, prompt] = [0, 0];
  for (const document of documents) {
    const tokens = tokensOf(document);
    parts += Math.max(1, Math.ceil((tokens + queryTokens) / tokensPerPart));
    prompt += tokens + queryTokens;
  }
  const searchUnit = Math.max(1, Math.ceil(parts / documentsPerUnit));
  const usage: Usage = { ...noUsage, units: { searchUnit }, estimated: true };
  return price?.uses?.["searchUnit"] !== undefined || !byTokens(price) ? usage : { ...usage, prompt };
}

export const rerank: MediaFormat = {
  title: "reranking",
  body: "json",
  upload: null,
  settable: new Set(["top_n", "max_tokens_per_doc", "return_documents"]),
  answerKind: () => "json",
  usageOf,
  most: (request, price) => ranked(request, price, (text) => Buffer.byteLength(text)),
  expected: (request, price) => ranked(request, price, (text) => Math.ceil(text.length / 4)),
};
