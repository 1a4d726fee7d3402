/** Web search in OpenAI's APIs (https://platform.openai.com/docs/guides/tools-web-search). */
import { webSearch } from "../../dialects/web-search.ts";
import type { ProviderAccount, ProviderModel, SearchingRequest } from "../provider.ts";
import { searchesByResponses } from "./responses/choice.ts";

/** Chat completions search with models made for it. They take no list of domains. */
export const searchesInChat = (upstream: string): boolean => /-search-(preview|api)/.test(upstream);

export const openAiSearches = (
  { [webSearch]: wish }: SearchingRequest,
  _account: ProviderAccount,
  { config }: ProviderModel,
): boolean =>
  searchesInChat(config.upstream)
    ? wish.allowedDomains === null && wish.blockedDomains === null
    : searchesByResponses(wish, config.upstream);
