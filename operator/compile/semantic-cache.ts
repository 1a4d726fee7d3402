/**
 * `spec.cache.semantic` → how the proxy looks up answers. The text goes to the provider of embeddings, so the rules for
 * targets apply to it.
 */
import { durationMs } from "../../crds/quantity.ts";
import type { RoutingPolicySpec } from "../../crds/types/routing-policy.ts";
import type { SemanticCacheConfig } from "../../proxy/config/cache.ts";
import { notResident } from "./access.ts";
import { own, problem } from "./outcome.ts";
import type { ProviderView } from "./provider-view.ts";
import { grantRefusal, type TargetContext } from "./targets.ts";
import type { Problem } from "./verdict.ts";

type SemanticSpec = NonNullable<NonNullable<RoutingPolicySpec["cache"]>["semantic"]>;

const path = ["spec", "cache", "semantic", "embeddings"];
const providerPath = [...path, "provider"];

/** Why this provider can't create the embeddings; null if it can. */
function unusable(
  id: string,
  { embeddings }: SemanticSpec,
  regions: string[] | null,
  view: ProviderView,
): Problem | null {
  const provider = view.live.get(id);
  if (provider === undefined)
    return problem("ProviderNotReady", `LLMProvider ${id} is not usable; its status says why`, providerPath);
  const declared = own(view.capabilities, provider.type);
  if (declared === undefined || ![...declared.passthrough, ...declared.translated].includes("openai.embeddings"))
    return problem(
      "Unsupported",
      `type ${provider.type} of LLMProvider ${id} has no embeddings; name a provider that has`,
      providerPath,
    );
  if (!Object.hasOwn(provider.models, embeddings.model)) {
    const have = Object.keys(provider.models).slice(0, 16).join(", ");
    return problem(
      "ModelNotFound",
      `LLMProvider ${id} has no model ${embeddings.model}; it has ${have}. Name one of them, or add it there`,
      [...path, "model"],
    );
  }
  const why = notResident(regions, provider);
  return why === null
    ? null
    : problem(
        "NotResident",
        `answers are not compared by meaning: ${why}, also to the provider of embeddings`,
        providerPath,
      );
}

/** null if the policy does not enable it, or if it can't work: then calls must be equal, and `refs` says why. */
export function compileSemanticCache(
  context: TargetContext,
  regions: string[] | null,
  refs: Problem[],
): SemanticCacheConfig | null {
  const { policy, view } = context;
  const semantic = policy.spec.cache?.semantic;
  if (semantic === undefined) return null;
  const { name, namespace = policy.meta.namespace } = semantic.embeddings.provider;
  const id = `${namespace}/${name}`;
  if (!view.existing.has(id)) {
    refs.push(problem("ProviderNotFound", `LLMProvider ${name} is not in namespace ${namespace}`, providerPath));
    return null;
  }
  const refused = grantRefusal(id, namespace, context);
  const wrong = refused === null ? unusable(id, semantic, regions, view) : { ...refused, path: providerPath };
  if (wrong !== null) {
    refs.push(wrong);
    return null;
  }
  return {
    provider: id,
    model: semantic.embeddings.model,
    threshold: Number(semantic.threshold),
    shadow: semantic.mode === "Shadow",
    timeoutMs: durationMs(semantic.timeout),
    maxEntries: semantic.maxEntries,
  };
}
