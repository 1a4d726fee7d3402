/** Reranking by a provider whose API has another form than Cohere's: translated both ways. */

import { invalidReply } from "../dialects/invalid-reply.ts";
import { errorEnvelope } from "../dialects/verdict/answer.ts";
import type { MediaFormat, MediaRequest } from "../media/format.ts";
import { errorInAnswer } from "../providers/errors.ts";
import type { Provider, RerankCall } from "../providers/provider.ts";
import type { JsonObject } from "../wire/json.ts";
import { isObject, jsonIn } from "../wire/json.ts";
import type { PrepareContext, Prepared } from "./prepared.ts";
import { isProviderError } from "./provider-error.ts";

export function translatedRerank(
  call: RerankCall,
  format: MediaFormat,
  request: MediaRequest,
  { decodeError, nowMs }: { decodeError: Provider["decodeError"]; nowMs: PrepareContext["nowMs"] },
): Prepared {
  return {
    outgoing: { method: "POST", path: call.path, headers: { "content-type": "application/json" }, body: call.body },
    dropped: call.dropped,
    translated: true,
    whole(bytes, headers) {
      const body = jsonIn(bytes.toString("utf8"));
      const failed = body === undefined ? null : errorEnvelope(body);
      if (failed !== null) return errorInAnswer(failed, decodeError, { headers, nowMs });
      const answer: JsonObject | ReturnType<typeof invalidReply> = isObject(body)
        ? call.decodeReply(body)
        : invalidReply();
      if (isProviderError(answer)) return answer;
      return { body: JSON.stringify(answer), usage: format.usageOf(answer, request) };
    },
    reader: () => null,
  };
}
