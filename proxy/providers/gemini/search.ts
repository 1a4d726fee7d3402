/** Grounding with Google Search (https://ai.google.dev/gemini-api/docs/google-search). */
import type { ChatRequest } from "../../dialects/canonical.ts";
import { lostDetails, searchMember, type WebSearch, webSearch } from "../../dialects/web-search.ts";
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import type { SearchingRequest } from "../provider.ts";
import { pageOf } from "./grounding.ts";

/** Differences between the APIs that serve Gemini. */
export interface SearchApi {
  /** Whether a search can leave domains out (https://cloud.google.com/vertex-ai/generative-ai/docs/grounding/grounding-with-google-search). */
  excludesDomains?: boolean;
}

const isGemini3 = (model: string): boolean => /gemini-[3-9]/.test(model);

const asksForJson = ({ response_format: format }: ChatRequest): boolean => (format?.type ?? "text") !== "text";

/**
 * Gemini 2 and later. Functions next to the search would need parts of the answer to come back that no client of another
 * API returns; before Gemini 3, answers in JSON can't be grounded.
 */
export function geminiSearches(request: SearchingRequest, model: string, { excludesDomains }: SearchApi): boolean {
  const wish = request[webSearch];
  return (
    !/gemini-1/.test(model) &&
    (request.tools ?? []).length === 0 &&
    wish.allowedDomains === null &&
    (wish.blockedDomains === null || excludesDomains === true) &&
    (isGemini3(model) || !asksForJson(request))
  );
}

/** Members of the request; empty if it asks for no search. */
export function searchTool({ [webSearch]: wish }: ChatRequest, dropped: Set<string>): JsonObject {
  if (wish === undefined) return {};
  for (const name of lostDetails(wish, "max_uses", "user_location", "search_context_size")) dropped.add(name);
  const { blockedDomains: excludeDomains } = wish;
  return { tools: [{ googleSearch: excludeDomains === null ? {} : { excludeDomains } }] };
}

const queriesIn = (metadata: JsonObject): string[] => {
  const queries = metadata["webSearchQueries"];
  return Array.isArray(queries) ? queries.filter((query) => typeof query === "string" && query !== "") : [];
};

/** Google doesn't say which query found a page, so the first is shown with all of them. */
export function searchesIn({ groundingMetadata: metadata }: JsonObject): WebSearch[] {
  if (!isObject(metadata)) return [];
  const pages = objectsIn(metadata["groundingChunks"]).flatMap((chunk) => pageOf(chunk) ?? []);
  return queriesIn(metadata).map((query, index) => ({ query, pages: index === 0 ? pages : [] }));
}

export const searchesOf = (candidate: JsonObject) => searchMember(searchesIn(candidate));

/** What is charged: each query from Gemini 3 on, each grounded prompt before (https://ai.google.dev/gemini-api/docs/pricing). */
export const chargedSearches = (searches: number, model: string): number =>
  isGemini3(model) ? searches : Math.min(1, searches);
