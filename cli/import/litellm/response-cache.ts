/** `litellm_settings.cache` → cache of the policies. */
import { decimalText, timerFrom } from "../amounts.ts";
import type { Spec } from "../manifests.ts";
import type { Setting } from "../setting.ts";
import type { Config } from "./config.ts";
import type { Deployment } from "./deployments.ts";

function semanticOf(params: Setting, deployments: readonly Deployment[]): Spec {
  const type = params.get("type").text ?? "";
  if (!/semantic/.test(type)) return {};
  const setting = params.entries().find(([name]) => /embedding_model$/.test(name))?.[1];
  const deployment = deployments.find(({ group }) => group === setting?.text);
  const similarity = params.get("similarity_threshold");
  const threshold = similarity.number === undefined ? null : decimalText(similarity.number);
  if (deployment === undefined || threshold === null || Number(threshold) < 0.5 || Number(threshold) > 1) {
    params.get("type").changed("calls must be equal: set cache.semantic with an embeddings model and a threshold");
    return {};
  }
  setting?.imported("cache.semantic.embeddings");
  similarity.changed("cache.semantic.threshold; sluice similarity says whether it suits the embeddings model");
  return {
    semantic: { embeddings: { provider: { name: deployment.ref.provider }, model: deployment.ref.model }, threshold },
  };
}

export function cacheOf(config: Config, deployments: readonly Deployment[]): Spec {
  const cache = config.find(["litellm_settings", "cache"]);
  if (cache?.isTrue !== true) {
    cache?.imported("off");
    return {};
  }
  const params = config.find(["litellm_settings", "cache_params"]);
  if (params?.get("mode").text === "default_off") {
    cache.notImported("callers can't ask for the cache call by call; set spec.cache of the policies that need it");
    return {};
  }
  cache.imported("cache of every policy");
  const ttl = params?.get("ttl");
  const text = ttl?.number === undefined ? null : timerFrom(ttl.number);
  if (text !== null) ttl?.imported("cache.ttl");
  const semantic = params === undefined ? {} : semanticOf(params, deployments);
  for (const name of ["type", "host", "port", "url", "password", "namespace", "ssl"])
    params
      ?.get(name)
      .changed(
        "the installation's store holds answers, if Helm's state.url names one; otherwise each proxy's memory does",
      );
  params?.get("supported_call_types").changed("chat, completions, responses, messages and embeddings are cached");
  return { cache: { ...(text === null ? {} : { ttl: text }), ...semantic } };
}
