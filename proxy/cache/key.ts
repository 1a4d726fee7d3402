/** The cache key: what makes two calls the same. Pure. */

import { type Identity, userOf } from "../call/identity.ts";
import type { Shaped } from "../call/shaped.ts";
import type { CacheConfig, CacheKeyPart } from "../config/cache.ts";
import { isChat } from "../config/capabilities.ts";
import { canonicalJson } from "../config/encode.ts";
import { answersHoldIds } from "../ids/seal-reply.ts";
import { mediaFormat } from "../media/registry.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { JsonObject } from "../wire/json.ts";
import { inexactNumbers } from "./inexact.ts";

/** Body members by the names that policies use. */
const members: Readonly<Record<CacheKeyPart, readonly string[]>> = {
  Temperature: ["temperature"],
  TopP: ["top_p", "top_k"],
  MaxTokens: ["max_tokens", "max_completion_tokens", "max_output_tokens"],
  Seed: ["seed"],
  Stop: ["stop", "stop_sequences"],
  User: ["user", "metadata", "safety_identifier", "prompt_cache_key"],
};

/** The body that is sent on: the caller's members with the route's changes. */
function effective(shaped: Shaped): JsonObject {
  const body: JsonObject = { ...shaped.received.json };
  for (const name of Object.keys(shaped.edits)) {
    if (shaped.edits[name] === undefined) delete body[name];
    else body[name] = shaped.edits[name];
  }
  return body;
}

const limitOf = (body: JsonObject): unknown =>
  body["max_completion_tokens"] ?? body["max_output_tokens"] ?? body["max_tokens"];

/** Whether the policy's conditions allow this call to be cached, whichever target answers it. */
export function cacheable(config: CacheConfig, shaped: Shaped, { targets }: Pick<Route, "targets">): boolean {
  if (!targets.some((target) => target.config.parameters !== undefined)) return meetsConditions(config, shaped);
  return targets.every((target) => meetsConditions(config, shaped.forTarget(target.config)));
}

/** Answers without bytes, words of a recording, images, or a summary that is sealed for one user. */
const isKeepable = ({ format, compaction }: Shaped): boolean =>
  (mediaFormat(format) === null && compaction === null) ||
  format === "openai.moderations" ||
  format === "cohere.rerank";

function meetsConditions(config: CacheConfig, shaped: Shaped): boolean {
  if (!isKeepable(shaped)) return false;
  const body = effective(shaped);
  if (config.maxTokensBelow !== null && isChat(shaped.format)) {
    const limit = limitOf(body);
    if (typeof limit !== "number" || limit >= config.maxTokensBelow) return false;
  }
  if (config.temperatureAtMost === null || !isChat(shaped.format)) return true;
  const temperature = body["temperature"] ?? 1;
  return typeof temperature === "number" && temperature <= config.temperatureAtMost;
}

/** Who shares an answer; null if the caller lacks the trait, and so shares with nobody. */
function sharers(scope: CacheConfig["scope"], identity: Identity): readonly unknown[] | null {
  if (scope === "Shared") return ["shared"];
  if (identity.anonymous) return scope === "Namespace" ? ["anonymous"] : null;
  const { key, namespace } = identity;
  if (scope === "Namespace") return ["namespace", namespace];
  if (scope === "ApiKey") return ["key", key.id];
  if (scope === "User") return ["user", namespace, userOf(identity)];
  return key.team === null ? null : ["team", namespace, key.team];
}

/** Answers with ids of what the provider keeps are of use to one user only: for the others the ids are sealed. */
function keepersOf(shaped: Shaped, body: JsonObject, identity: Identity): readonly unknown[] {
  if (!answersHoldIds(shaped) || body["store"] === false) return [];
  return [identity.anonymous ? "anonymous" : [identity.namespace, userOf(identity)]];
}

/** Everything that distinguishes two calls. */
export interface CacheLookup {
  config: CacheConfig;
  shaped: Shaped;
  route: Route;
  identity: Identity;
  /** The provider that the caller prefers. */
  preferred: string | null;
  /** Headers that are passed on and change what a provider answers. */
  headers: Readonly<Record<string, string>>;
  /** Keyed, so that a key reveals nothing about the prompt, even to someone who guesses it. */
  digester: { digest(text: string): string };
}

/**
 * The key under which this call's answer is stored, or null if it must not be stored. `hollow` removes from the body what
 * may differ.
 */
export function cacheKey(
  { config, shaped, route, identity, preferred, headers, digester }: CacheLookup,
  hollow: (body: JsonObject) => JsonObject = (body) => body,
): string | null {
  const who = sharers(config.scope, identity);
  if (who === null) return null;
  const body = effective(shaped);
  for (const part of config.ignore) for (const name of members[part]) delete body[name];
  const inexact = inexactNumbers(shaped.received.bytes.toString("latin1"));
  return digester.digest(
    canonicalJson([
      route.fingerprint,
      who,
      shaped.format,
      shaped.model,
      preferred,
      headers,
      shaped.filled,
      inexact,
      hollow(body),
      ...keepersOf(shaped, body, identity),
    ]),
  );
}
