/** OpenAI's error envelope, which most compatible servers also use: `{"error": {message, type, param, code}}`. */

import type { ProviderError } from "../../dialects/canonical.ts";
import { wordsOf } from "../../dialects/verdict/words.ts";
import { providerError } from "../errors.ts";
import type { ErrorReply } from "../provider.ts";

const usedUp = "The provider account's quota is used up. Ask the platform team to check its billing.";

export function decodeOpenAiError(reply: ErrorReply): ProviderError {
  const { codes } = wordsOf(reply);
  return codes.includes("insufficient_quota")
    ? providerError(reply, { class: "RateLimited", code: "upstream_rate_limited", fault: "provider", message: usedUp })
    : providerError(reply);
}
