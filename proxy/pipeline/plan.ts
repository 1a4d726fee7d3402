/** The properties of a request that targets are chosen by. Shared by calls and `explain`. */

import type { Identity } from "../call/identity.ts";
import type { Received } from "../call/received.ts";
import type { Shaped } from "../call/shaped.ts";
import { embeddings } from "../dialects/openai-embeddings.ts";
import type { PlanRequest } from "../routing/routing.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Route } from "../snapshot/snapshot.ts";

function outputTokens(received: Received): number {
  const limit = received.json["max_completion_tokens"] ?? received.json["max_tokens"];
  return typeof limit === "number" ? limit : 0;
}

/** Four bytes per token: accurate enough for choosing a target. */
export const roughPromptTokens = (received: Received): number => Math.ceil(received.bytes.length / 4);

export function planRequest(
  shaped: Shaped,
  route: Route,
  targets: readonly ResolvedTarget[],
  identity: Identity,
  header: (name: string) => string | null,
  session: string,
): PlanRequest {
  const promptTokens = roughPromptTokens(shaped.received);
  return {
    route,
    targets,
    identity,
    session: session === "" ? "" : `${session}@${identity.anonymous ? "" : identity.key.id}`,
    model: shaped.model,
    header,
    preferred: header("x-prefer-provider") ?? shaped.preferred,
    batchSize: shaped.format === "openai.embeddings" ? embeddings.batchSize(shaped.received.json) : 1,
    promptTokens: () => promptTokens,
    outputTokens: () => outputTokens(shaped.received),
  };
}
