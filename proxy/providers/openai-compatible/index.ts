/** Any server that speaks OpenAI's format. The endpoint is the SDK's base URL, including `/v1` if the server has it. */

import type { WireFormat } from "../../config/capabilities.ts";
import { chatSearch, webSearch } from "../../dialects/web-search.ts";
import { openAiModelList } from "../model-list.ts";
import { decodeOpenAiError } from "../openai/failure.ts";
import { bearer, openAiPaths } from "../openai/index.ts";
import { responsesEdits } from "../openai/mend-responses.ts";
import { passthroughChat, passthroughEmbeddings } from "../openai/request.ts";
import type { Provider, ProviderAccount } from "../provider.ts";
import { capabilities } from "./capabilities.ts";
import { chatQuirks, droppedIn, quirked } from "./quirks.ts";

/** Paths of the endpoints that `surfaces` names. */
const surfaces: Partial<Record<WireFormat, readonly [name: string, path: string]>> = {
  "openai.images": ["Images", "/images/generations"],
  "openai.image_edits": ["ImageEdits", "/images/edits"],
  "openai.image_variations": ["ImageVariations", "/images/variations"],
  "openai.speech": ["Speech", "/audio/speech"],
  "openai.transcriptions": ["Transcriptions", "/audio/transcriptions"],
  "openai.translations": ["Translations", "/audio/translations"],
  "openai.moderations": ["Moderations", "/moderations"],
  "cohere.rerank": ["Rerank", "/rerank"],
};

function surfacePath([name, path]: readonly [string, string], { config, basePath }: ProviderAccount): string | null {
  const declared = (config.options["surfaces"] ?? "").split(",");
  return declared.includes(name) ? basePath + path : null;
}

/** Many servers support only chat. Calls of formats they lack are sent as chats. */
function lacks(format: WireFormat, { config }: ProviderAccount): boolean {
  if (format === "openai.responses") return config.options["responses"] === "Translate";
  return format === "openai.completions" && config.options["completions"] === "Translate";
}

export const provider: Provider = {
  capabilities,
  modelList: openAiModelList,
  passthroughPath: (format, account) => {
    const surface = surfaces[format];
    if (surface !== undefined) return surfacePath(surface, account);
    const path = openAiPaths[format];
    return path === undefined || lacks(format, account) ? null : account.basePath + path;
  },
  passthroughEdits: (format, account, model, body) => {
    if (format === "openai.responses") return responsesEdits(body);
    return format === "openai.chat" ? chatQuirks(body, account, model) : {};
  },
  passthroughDrops: droppedIn,
  authorize: bearer,
  chat: (request, account, model, options) =>
    passthroughChat(quirked(request, account, model), account, model, options),
  // Only callers know which servers can search, and how to ask them.
  searches: (request) => request[webSearch].name === chatSearch,
  embeddings: passthroughEmbeddings,
  decodeError: decodeOpenAiError,
  resourcePath: (path, account) => account.basePath + path,
};
