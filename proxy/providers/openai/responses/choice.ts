/** Which chats are sent as Responses, because OpenAI's chat completions refuse them. */
import type { ChatRequest } from "../../../dialects/canonical.ts";
import { type WebSearchWish, webSearch, wishFrom } from "../../../dialects/web-search.ts";
import { isObject, objectsIn } from "../../../wire/json.ts";

/** https://platform.openai.com/docs/models: models that have no other API. */
const onlyResponses =
  /^(o1-pro|o3-pro|o\d(-mini)?-deep-research|gpt-5(\.\d+)?-pro|gpt-5(\.\d+)?-codex|codex-mini|computer-use)/;

/** From GPT-5.4 on, chat completions refuse functions along with reasoning (https://developers.openai.com/api/docs/guides/reasoning). */
const reasonsWithoutTools = /^gpt-(5\.([4-9]|\d\d)|[6-9])(?!.*-chat)/;

/** Models with web search in Responses (https://platform.openai.com/docs/guides/tools-web-search). */
const searching = /^(gpt-4o|gpt-4\.1(?!-nano)|gpt-5|gpt-[6-9]|o3|o4)(?!.*(-chat|-search-|-audio|-realtime))/;

export const baseName = (upstream: string): string => upstream.replace(/^ft:/, "");

/** Search with a list of domains to leave out is not in the API. */
export const searchesByResponses = (wish: WebSearchWish, upstream: string): boolean =>
  wish.blockedDomains === null && searching.test(baseName(upstream));

type Asked = Readonly<Record<string, unknown>> & { readonly [webSearch]?: WebSearchWish };

/** What only chat completions have. */
const onlyChat = ({ n, audio, prediction }: Asked): boolean =>
  Number(n ?? 1) > 1 || (audio ?? null) !== null || (prediction ?? null) !== null;

const hasFileAddress = (messages: unknown): boolean =>
  objectsIn(messages).some(({ content }) =>
    objectsIn(content).some(({ file }) => isObject(file) && /^https?:/i.test(String(file["file_data"] ?? ""))),
  );

const usesTools = ({ tools }: Asked): boolean => Array.isArray(tools) && tools.length > 0;

/** `request`: canonical, or a chat's body. */
export function needsResponses(request: Asked | ChatRequest, upstream: string): boolean {
  const requested = request as Asked;
  const name = baseName(upstream);
  const options = requested["web_search_options"];
  if (onlyResponses.test(name)) return true;
  if (onlyChat(requested)) return false;
  const { [webSearch]: wish = isObject(options) ? wishFrom(options, "") : undefined } = requested;
  if (wish !== undefined && searchesByResponses(wish, upstream)) return true;
  const reasons = (requested["reasoning_effort"] ?? "medium") !== "none";
  return (usesTools(requested) && reasons && reasonsWithoutTools.test(name)) || hasFileAddress(requested["messages"]);
}
