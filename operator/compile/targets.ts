/** Targets of a RoutingPolicy → providers and models that exist, and that the policy may use. Pure. */
import type { RoutingPolicySpec } from "../../crds/types/routing-policy.ts";
import { isModelPattern, modelsNamed } from "../../proxy/config/model-pattern.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";
import type { RouteConfig, TargetConfig } from "../../proxy/config/route.ts";
import { mayBeFound } from "./discovery.ts";
import { granted } from "./grants.ts";
import { isError, own, type ParsedObject, problem } from "./outcome.ts";
import type { ProviderView } from "./provider-view.ts";
import type { Problem } from "./verdict.ts";
import type { World } from "./world.ts";

export type TargetSpec = RoutingPolicySpec["routing"]["targets"][number];

export const targetName = (target: TargetSpec): string => target.name ?? target.provider.name;

/** Models that a request can call through a target, or null if that is up to the caller. */
export function requestedModels(spec: RoutingPolicySpec): string[] | null {
  const forced = spec.request?.overrides?.["model"];
  if (typeof forced === "string") return [forced];
  const fallback = spec.request?.defaults?.["model"];
  // Under /v1 a request without a model matches no policy, so a default has no effect there.
  const supplied = typeof fallback === "string" && spec.match.pathPrefix !== undefined ? [fallback] : [];
  const wanted = [...new Set([...(spec.match.models ?? []), ...supplied])];
  return wanted.length === 0 ? null : wanted;
}

function missingModels(target: TargetSpec, provider: ProviderConfig, spec: RoutingPolicySpec): string[] {
  if (target.model !== undefined) return Object.hasOwn(provider.models, target.model) ? [] : [target.model];
  const wanted = requestedModels(spec) ?? [];
  const have = Object.keys(provider.models);
  const missing = wanted.filter((name) => !isModelPattern(name) && !Object.hasOwn(provider.models, name));
  const patterns = wanted.filter(isModelPattern);
  // One matching wildcard is enough: others may be for other providers.
  const unmatched = patterns.every((name) => modelsNamed(name, have).length === 0) ? patterns : [];
  return [...missing, ...unmatched];
}

/** Why a provider can't serve any call of this policy; null if it can serve some. */
function unservable(
  provider: ProviderConfig,
  target: TargetSpec,
  spec: RoutingPolicySpec,
  view: ProviderView,
): string | null {
  const declared = own(view.capabilities, provider.type);
  if (declared === undefined || declared.passthrough.length + declared.translated.length === 0)
    return `type ${provider.type} serves no calls`;
  const set = { ...spec.request?.defaults, ...spec.request?.overrides, ...target.parameters };
  const refused = Object.keys(set).filter((name) => {
    const support = own(declared.parameters, name);
    return support === "refused" || (support === "dropped" && provider.unsupportedParameters === "Refuse");
  });
  return refused.length === 0 ? null : `type ${provider.type} refuses ${refused.join(", ")}, which the policy sets`;
}

/** The input for resolving a target. */
export interface TargetContext {
  policy: ParsedObject<"RoutingPolicy">;
  /** The policy's form from when it was last valid. */
  last: RouteConfig | undefined;
  view: ProviderView;
  world: World;
}

/** Why the policy's namespace may not use the provider `id` of namespace `owner`; null if it may. */
export function grantRefusal(
  id: string,
  owner: string,
  { policy, last, view, world }: TargetContext,
): Omit<Problem, "path"> | null {
  const user = policy.meta.namespace;
  const grant = view.grants.get(id);
  if (grant === undefined) {
    const before = [...(last?.routing.targets ?? []), ...(last?.shadow === undefined ? [] : [last.shadow.target])];
    if (owner === user || before.some((target) => target.provider === id)) return null;
    return problem(
      "ProviderNotReady",
      `LLMProvider ${id} is invalid, so the namespaces that it allows are unknown; its status says why`,
    );
  }
  if (granted(grant, owner, user, world.namespaces)) return null;
  return problem(
    "RefNotPermitted",
    `LLMProvider ${id} does not allow namespace ${user}; its owner can grant that in spec.allowedNamespaces`,
  );
}

/** A model that may still be discovered isn't an error: it is served once it is found. */
function missingProblem(id: string, provider: ProviderConfig, missing: string[], path: Problem["path"]): Problem {
  const names = missing.join(", ");
  if (missing.every((name) => mayBeFound(provider, name))) {
    const message = `LLMProvider ${id} has not listed ${names} yet; calls are served once it does`;
    return { ...problem("ModelNotFound", message, [...path], "warning") };
  }
  const have = Object.keys(provider.models).slice(0, 16).join(", ") || "none yet";
  const message = `LLMProvider ${id} has no model ${names}; it has ${have}. Set the target's model, or add it there`;
  return problem("ModelNotFound", message, [...path]);
}

/** `place`: the path of the target in the policy. */
export function resolveTarget(
  target: TargetSpec,
  place: readonly (string | number)[],
  context: TargetContext,
  warnings: Problem[],
): TargetConfig | Problem {
  const { policy, view } = context;
  const namespace = target.provider.namespace ?? policy.meta.namespace;
  const id = `${namespace}/${target.provider.name}`;
  const path = [...place, "provider"];
  if (!view.existing.has(id))
    return problem("ProviderNotFound", `LLMProvider ${target.provider.name} is not in namespace ${namespace}`, path);
  const refused = grantRefusal(id, namespace, context);
  if (refused) return { ...refused, path };
  const provider = view.live.get(id);
  if (provider === undefined)
    return problem("ProviderNotReady", `LLMProvider ${id} is not usable; its status says why`, path);
  const missing = missingModels(target, provider, policy.spec);
  if (missing.length > 0) {
    const absent = missingProblem(id, provider, missing, [...place]);
    if (isError(absent)) return absent;
    warnings.push(absent);
  }
  const why = unservable(provider, target, policy.spec, view);
  if (why !== null) return problem("Unsupported", `LLMProvider ${id} can't serve this policy: ${why}`, [...place]);
  return {
    name: targetName(target),
    provider: id,
    model: target.model ?? null,
    priority: target.priority,
    weight: target.weight,
    ...(target.parameters === undefined ? {} : { parameters: target.parameters }),
  };
}
