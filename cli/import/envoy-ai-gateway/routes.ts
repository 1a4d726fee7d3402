/** Rules of an AIGatewayRoute → RoutingPolicies. */
import type { Accounts, ModelRef } from "../accounts.ts";
import { matchedModels, type NamedModel } from "../bounds.ts";
import { timerField } from "../fields.ts";
import type { Manifests, Spec } from "../manifests.ts";
import type { Setting } from "../setting.ts";
import { targetSpecs } from "../target-specs.ts";
import { backendAccount } from "./backends.ts";
import type { Resources } from "./resources.ts";

const modelHeader = /^x-(ai-eg|aigw|envoy-ai-gateway)-model$/i;

/** Models that a rule matches. */
function modelsOf(rule: Setting): NamedModel[] {
  const models = new Map<string, Setting>();
  for (const header of rule
    .get("matches")
    .items()
    .flatMap((match) => match.get("headers").items())) {
    const value = header.get("value");
    if (!modelHeader.test(header.get("name").text ?? ""))
      header.notImported("a policy is chosen by model: write a rule of routing.rules");
    else if (/regular/i.test(header.get("type").text ?? ""))
      header.notImported("models are matched by name: list them in match.models");
    else if (value.text !== undefined && value.text !== "") {
      if (!models.has(value.text)) models.set(value.text, header);
      header.imported("match.models", ["type", "name", "value"]);
    }
  }
  return [...models];
}

interface Target {
  /** By the model that callers request. */
  refs: Map<string, ModelRef>;
  /** The model that replaces every requested model; null if none does. */
  fixed: ModelRef | null;
  ref: Setting;
}

function targetOf(
  ref: Setting,
  models: readonly string[],
  resources: Resources,
  accounts: Accounts,
  settings: Spec,
): Target | null {
  const backend = resources.find("AIServiceBackend", ref.get("name").text);
  if (backend === undefined) {
    ref.notImported(
      "the AIServiceBackend is not part of the import; pools of the Inference Extension are LLMProviders of their own",
    );
    return null;
  }
  const account = backendAccount(backend, resources);
  if (account === null) return null;
  const override = ref.get("modelNameOverride");
  const use = (upstream: string): ModelRef => accounts.use({ ...account, settings }, { upstream });
  const fixed = override.text === undefined ? null : use(override.text);
  override.imported("model of the target");
  const refs = new Map(fixed === null ? models.map((model) => [model, use(model)]) : []);
  if (fixed === null && refs.size === 0) {
    ref.notImported("an LLMProvider lists its models: match the header x-ai-eg-model, or set modelNameOverride");
    return null;
  }
  ref.get("name").imported(`LLMProvider ${(fixed ?? [...refs.values()][0])?.provider}`);
  return { refs, fixed, ref };
}

/** The model of every call; undefined if the caller chooses it. */
function modelOf({ fixed, refs }: Target): string | undefined {
  return fixed?.model ?? (refs.size === 1 ? [...refs.values()][0]?.model : undefined);
}

const providerOf = ({ fixed, refs }: Target): string => (fixed ?? [...refs.values()][0])?.provider ?? "";

function specsOf(policy: string, targets: readonly Target[]): { strategy: string; specs: Spec[] } {
  const isRanked = new Set(targets.map(({ ref }) => ref.get("priority").number ?? 0)).size > 1;
  const rankOf = ({ ref }: Target): Spec => {
    if (targets.length === 1) return {};
    if (!isRanked) return { weight: ref.get("weight").number ?? 1 };
    return { priority: (ref.get("priority").number ?? 0) + 1 };
  };
  const specs = targetSpecs(targets, policy, {
    refOf: (target) => ({ provider: providerOf(target), model: modelOf(target) }),
    settingOf: ({ ref }) => ref,
    rankOf: (target) => {
      for (const field of ["weight", "priority"]) target.ref.get(field).imported(`${field} of the target`);
      return rankOf(target);
    },
  });
  return { strategy: isRanked || targets.length === 1 ? "Priority" : "Weighted", specs };
}

function addRule(rule: Setting, name: string, resources: Resources, accounts: Accounts, manifests: Manifests): void {
  const models = modelsOf(rule);
  const timeout = timerField(rule.get("timeouts", "request"), "timeouts.total");
  const settings = Object.keys(timeout).length === 0 ? {} : { timeouts: { total: Object.values(timeout)[0] } };
  const refs = rule.get("backendRefs").items();
  const names = models.map(([model]) => model);
  const targets = refs.flatMap((ref) => targetOf(ref, names, resources, accounts, settings) ?? []);
  const fixed = targets.flatMap(({ fixed, ref }): NamedModel[] => (fixed === null ? [] : [[fixed.model, ref]]));
  const match = matchedModels(models.length > 0 ? models : fixed, name);
  if (targets.length === 0 || match.length === 0) return;
  const { strategy, specs } = specsOf(name, targets);
  manifests.add("RoutingPolicy", name, { match: { models: match }, routing: { strategy, targets: specs } });
  for (const field of ["modelsOwnedBy", "modelsCreatedAt", "name"]) rule.get(field).imported("not needed");
}

export function addRoute(route: Setting, resources: Resources, accounts: Accounts, manifests: Manifests): void {
  const name = route.get("metadata", "name").text ?? "route";
  const rules = route.get("spec", "rules").items();
  for (const [index, rule] of rules.entries())
    addRule(rule, rules.length === 1 ? name : `${name}-${index + 1}`, resources, accounts, manifests);
  for (const field of ["parentRefs", "targetRefs", "schema"]) route.get("spec", field).imported("not needed");
  route
    .get("spec", "llmRequestCosts")
    .changed("costs are counted in USD, by the price table; budgets and limits count them");
}
