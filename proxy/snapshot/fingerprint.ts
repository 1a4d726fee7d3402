/** What a cached answer of a route depends on. */
import { canonicalJson, sha256Hex } from "../config/encode.ts";
import type { RouteConfig } from "../config/route.ts";
import type { Embedder, RouteTarget } from "./snapshot.ts";

/** Fields of a route that can change its answers. A cached answer stays valid when any other field changes. */
const shapesAnswers = {
  id: true,
  request: true,
  routing: true,
  guard: true,
  cache: true,
  // Of `access`, only the regions: a caller's access is checked before the cache is asked.
  access: false,
  pathPrefix: false,
  models: false,
  consumers: false,
  resources: false,
  limits: false,
  sessionHeader: false,
  sessionTime: false,
  shadow: false,
  audit: false,
  logging: false,
  watch: false,
} as const satisfies Record<keyof RouteConfig, boolean>;

/** Includes the embedder, since vectors of two models can't be compared. */
export function answerFingerprint(
  config: RouteConfig,
  targets: readonly RouteTarget[],
  embedder: Embedder | null,
): string {
  if (config.cache === null) return "";
  const requested = (embedder === null ? targets : [...targets, embedder]).map(({ entry, model }) => {
    const models = model === null ? [...entry.models.values()] : [model];
    const { id, type, endpoint, options } = entry.account.config;
    return [id, type, endpoint, options, models.map(({ name, config: { upstream } }) => [name, upstream])];
  });
  const what = Object.entries(config).filter(([field]) => shapesAnswers[field as keyof RouteConfig]);
  return sha256Hex(canonicalJson([Object.fromEntries(what), config.access.regions, requested]));
}
