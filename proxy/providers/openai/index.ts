/** OpenAI (https://platform.openai.com/docs/api-reference): the gateway's own format, so bytes pass through. */

import type { WireFormat } from "../../config/capabilities.ts";
import { maxOutputBy } from "../model-facts.ts";
import { openAiModelList } from "../model-list.ts";
import type { Outgoing, Provider, ProviderAccount } from "../provider.ts";
import { capabilities } from "./capabilities.ts";
import { openAiChat } from "./chat.ts";
import { decodeOpenAiError } from "./failure.ts";
import { openAiDrops, openAiEdits } from "./mend.ts";
import { openAiFacts } from "./models.ts";
import { passthroughEmbeddings } from "./request.ts";
import { needsResponses } from "./responses/choice.ts";
import { openAiSearches } from "./search.ts";
import { openAiTokenCount } from "./token-count.ts";

/** Paths below the base URL, which by SDK convention ends in `/v1`. */
export const openAiPaths: Partial<Record<WireFormat, string>> = {
  "openai.chat": "/chat/completions",
  "openai.completions": "/completions",
  "openai.embeddings": "/embeddings",
  "openai.responses": "/responses",
  "openai.images": "/images/generations",
  "openai.image_edits": "/images/edits",
  "openai.image_variations": "/images/variations",
  "openai.speech": "/audio/speech",
  "openai.transcriptions": "/audio/transcriptions",
  "openai.translations": "/audio/translations",
  "openai.moderations": "/moderations",
};

export function bearer(outgoing: Outgoing, account: ProviderAccount): Outgoing {
  const key = account.credentials["apiKey"];
  if (key !== undefined) outgoing.headers["authorization"] = `Bearer ${key}`;
  return outgoing;
}

function authorize(outgoing: Outgoing, account: ProviderAccount): Outgoing {
  const { organization, project } = account.config.options;
  if (organization !== undefined) outgoing.headers["openai-organization"] = organization;
  if (project !== undefined) outgoing.headers["openai-project"] = project;
  return bearer(outgoing, account);
}

export const provider: Provider = {
  capabilities,
  modelList: openAiModelList,
  passthroughPath: (format, account) => {
    const path = openAiPaths[format];
    return path === undefined ? null : account.basePath + path;
  },
  compactPath: (account) => `${account.basePath}/responses/compact`,
  passthroughEdits: openAiEdits,
  passthroughDrops: openAiDrops,
  maxOutput: maxOutputBy(openAiFacts),
  authorize,
  translatesChat: (body, _account, model) => needsResponses(body, model.config.upstream),
  chat: openAiChat,
  searches: openAiSearches,
  embeddings: passthroughEmbeddings,
  tokenCount: (prompt, account, model) => openAiTokenCount(`${account.basePath}/responses`, prompt, model),
  decodeError: decodeOpenAiError,
  resourcePath: (path, account) => account.basePath + path,
};
