/**
 * Web search that the model's provider runs, in the forms of three APIs: `web_search_options` of OpenAI's chat, a tool of
 * its Responses (https://platform.openai.com/docs/guides/tools-web-search) and one of Anthropic's Messages
 * (https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool).
 */
import { isObject, type JsonObject } from "../wire/json.ts";

/** A request's wish for web search. No JSON holds it, so only providers that look for it see it. */
export const webSearch = Symbol("web search");

export const chatSearch = "web_search_options";

export interface WebSearchWish {
  /** Name in the header if the provider can't search. */
  name: string;
  allowedDomains: string[] | null;
  blockedDomains: string[] | null;
  /** `country`, `region`, `city` and `timezone`, as far as the caller gives them. */
  location: JsonObject | null;
  contextSize: string | null;
  maxUses: number | null;
}

/** A search that the provider made for an answer. */
export interface WebSearch {
  query: string;
  /** Empty if the provider doesn't say. */
  pages: readonly { url: string; title: string }[];
}

/** Key of the searches in a message or a delta. No JSON holds it. */
export const webSearches = Symbol("web searches");

export interface Searched {
  [webSearches]?: readonly WebSearch[];
}

export const searchMember = (searches: readonly WebSearch[]): Searched =>
  searches.length === 0 ? {} : { [webSearches]: searches };

const textsIn = (value: unknown): string[] | null => {
  const texts = Array.isArray(value) ? value.filter((text) => typeof text === "string" && text !== "") : [];
  return texts.length === 0 ? null : (texts as string[]);
};

const places = ["country", "region", "city", "timezone"] as const;

function locationOf(given: unknown): JsonObject | null {
  if (!isObject(given)) return null;
  const place = isObject(given["approximate"]) ? given["approximate"] : given;
  const known = places.flatMap((name) => (typeof place[name] === "string" ? [[name, place[name]]] : []));
  return known.length === 0 ? null : (Object.fromEntries(known) as JsonObject);
}

const countIn = (value: unknown): number | null =>
  typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : null;

/** Reads any of the three forms. `name`: of the parameter or tool. */
export function wishFrom(given: JsonObject, name: string, maxUses: unknown = given["max_uses"]): WebSearchWish {
  const filters = isObject(given["filters"]) ? given["filters"] : given;
  return {
    name,
    allowedDomains: textsIn(filters["allowed_domains"]),
    blockedDomains: textsIn(filters["blocked_domains"]),
    location: locationOf(given["user_location"]),
    contextSize: typeof given["search_context_size"] === "string" ? given["search_context_size"] : null,
    maxUses: countIn(maxUses),
  };
}

/** The wish as `web_search_options` of a chat. */
export const searchOptions = ({ contextSize, location }: WebSearchWish): JsonObject => ({
  ...(contextSize === null ? {} : { search_context_size: contextSize }),
  ...(location === null ? {} : { user_location: { type: "approximate", approximate: location } }),
});

const details = {
  allowed_domains: "allowedDomains",
  blocked_domains: "blockedDomains",
  user_location: "location",
  search_context_size: "contextSize",
  max_uses: "maxUses",
} as const;

/** Names of the details that a provider without a form for them leaves out. */
export const lostDetails = (wish: WebSearchWish, ...names: (keyof typeof details)[]): string[] =>
  names
    // Nobody asked for the one search of a chat.
    .filter((name) => wish[details[name]] !== null && !(name === "max_uses" && wish.name === chatSearch))
    .map((name) => `${wish.name}.${name}`);

/** Prefix of ids for searches by other providers' models. Anthropic has its own ids and refuses these. */
const madeSearch = "srvtoolu_sluice_";

export const isMadeSearch = ({ id, tool_use_id: of }: JsonObject): boolean => String(id ?? of).startsWith(madeSearch);

/** Blocks of Anthropic's Messages for a search. */
export function searchBlocks({ query, pages }: WebSearch, answer: string, position: number): [JsonObject, JsonObject] {
  const id = `${madeSearch}${answer.replace(/[^\w-]/g, "").slice(-32)}_${position}`;
  const content = pages.map(({ url, title }) => ({
    type: "web_search_result",
    url,
    title,
    encrypted_content: "",
    page_age: null,
  }));
  return [
    { type: "server_tool_use", id, name: "web_search", input: { query } },
    { type: "web_search_tool_result", tool_use_id: id, content },
  ];
}
