/** The properties of a request by which targets are chosen. Shared by calls and `explain`. */

import type { HeaderLookup } from "../access/client-address.ts";
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
export const roughPromptTokens = ({ bytes, json, parts }: Received): number =>
  Math.ceil((parts === undefined ? bytes.length : JSON.stringify(json).length) / 4);

/** The properties of one call. */
export class CallPlan implements PlanRequest {
  readonly route: Route;
  readonly targets: readonly ResolvedTarget[];
  readonly identity: Identity;
  readonly caller: string;
  readonly session: string;
  readonly model: string | null;
  readonly preferred: string | null;
  batchSize: number;
  cachedTokens?: (target: ResolvedTarget) => number;
  readonly #received: Received;
  readonly #headers: HeaderLookup;

  constructor(
    shaped: Shaped,
    route: Route,
    targets: readonly ResolvedTarget[],
    identity: Identity,
    headers: HeaderLookup,
    session: string,
    caller = "",
  ) {
    this.route = route;
    this.targets = targets;
    this.identity = identity;
    this.caller = caller;
    this.session = session === "" ? "" : `${session}@${identity.anonymous ? "" : identity.key.id}`;
    this.model = shaped.model;
    this.#headers = headers;
    this.preferred = headers.header("x-prefer-provider") ?? shaped.preferred;
    this.batchSize = shaped.format === "openai.embeddings" ? embeddings.batchSize(shaped.received.json) : 1;
    this.#received = shaped.received;
  }

  header(name: string): string | null {
    return this.#headers.header(name);
  }

  promptTokens(): number {
    return roughPromptTokens(this.#received);
  }

  outputTokens(): number {
    return outputTokens(this.#received);
  }
}
