/** Cohere's errors: `{"message", "id"?}`. The status says the rest (https://docs.cohere.com/reference/errors). */

import type { ProviderError } from "../../dialects/canonical.ts";
import { isObject } from "../../wire/json.ts";
import { providerError } from "../errors.ts";
import type { ErrorReply } from "../provider.ts";

type Kind = Pick<ProviderError, "class" | "code">;

/**
 * Statuses that don't have their usual HTTP meaning. 402, about the account's billing, is handled for all providers.
 */
const kinds: Readonly<Record<number, Kind>> = {
  // "a request or response contains a deny-listed token": words, not credentials.
  498: { class: "BadRequest", code: "content_filter" },
  // Cancelled or aborted on the provider's side, and documented as worth a retry. A caller that left never sees it.
  499: { class: "Unavailable", code: "upstream_unavailable" },
  501: { class: "BadRequest", code: "upstream_rejected_request" },
};

function kindOf(status: number, message: string): Kind | null {
  // "too many tokens: max tokens must be …" is about max_tokens, not about the prompt.
  if (status === 400 && /^too many tokens(?!: max tokens)/i.test(message))
    return { class: "BadRequest", code: "context_length_exceeded" };
  return kinds[status] ?? null;
}

export function decodeCohereError(reply: ErrorReply): ProviderError {
  const message = isObject(reply.body) && typeof reply.body["message"] === "string" ? reply.body["message"] : "";
  return providerError(reply, { ...kindOf(reply.status, message), message });
}
