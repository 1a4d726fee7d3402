/** `llm`: models, virtual models and virtual keys of the standalone form → LLMProviders, RoutingPolicies and ApiKeys. */
import type { Accounts } from "../accounts.ts";
import type { Manifests } from "../manifests.ts";
import type { Setting } from "../setting.ts";
import type { ImportOptions } from "../source.ts";
import { addKeys } from "./keys.ts";
import { guardOf, limitsOf, markCustom, markHealth, providerSettings, requestOf } from "./parts.ts";
import { addPolicy, type ImportedTarget, type PolicyParts } from "./policies.ts";
import { baseOf, keyCredential, type ProviderForm, useModel, workloadIdentityOf } from "./providers.ts";

interface Llm {
  providers: ReadonlyMap<string, Setting>;
  models: ReadonlyMap<string, Setting>;
  accounts: Accounts;
  manifests: Manifests;
  options: ImportOptions;
  /** From `llm.policies`, for every policy. */
  shared: PolicyParts;
}

/** The kind of a model's provider, where it is set, and its parameters. */
function kindOf(model: Setting, { providers }: Llm): { name: string; kind: Setting; params: Setting[] } | null {
  const provider = model.get("provider");
  const reference = provider.get("reference");
  const own = model.get("params");
  if (reference.text !== undefined) {
    const named = providers.get(reference.text);
    reference.mark(
      named === undefined ? "NotImported" : "Imported",
      named === undefined ? "there is no such provider" : "LLMProvider",
    );
    return named === undefined
      ? null
      : { name: reference.text, kind: named.get("provider"), params: [own, named.get("params")] };
  }
  if (provider.get("custom").isSet) {
    markCustom(provider.get("custom"));
    return { name: "", kind: provider.get("custom"), params: [own] };
  }
  return { name: "", kind: provider, params: [own] };
}

function formOf(model: Setting, llm: Llm): ProviderForm | null {
  const modelKind = kindOf(model, llm);
  if (modelKind === null) {
    model.get("name").notImported("its provider is not known");
    return null;
  }
  const { kind, params } = modelKind;
  const text = kind.name === "custom" ? "custom" : kind.text;
  if (text === undefined) {
    kind.notImported("the provider is not known");
    model.get("name").notImported("its provider is not known");
    return null;
  }
  // A model's own parameters come before those of the provider that it refers to.
  const paramOf = (...names: string[]): Setting =>
    params.find((setting) => names.some((name) => setting.get(name).isSet)) ?? (params[0] as Setting);
  const settings = providerSettings(model.get("retry"), model.get("timeouts"));
  const azure = paramOf("azureResourceName").get("azureResourceName");
  const base = baseOf(
    paramOf("baseUrl", "hostOverride"),
    { url: "baseUrl", host: "hostOverride", path: "pathPrefix", kind: text },
    llm.options,
  );
  const resource =
    azure.text === undefined
      ? null
      : { setting: azure, text: `https://${azure.text}.openai.azure.com`, variable: null };
  return {
    name: modelKind.name || text,
    kind: text,
    setting: kind,
    fields: paramOf("awsRegion", "vertexProject", "vertexRegion", "azureApiVersion"),
    base: base ?? resource,
    credentials: keyCredential(paramOf("apiKey").get("apiKey")),
    ...workloadIdentityOf(model.get("auth").isSet ? model.get("auth") : model.get("backendAuth")),
    ...(Object.keys(settings).length === 0 ? {} : { settings }),
  };
}

const hasWildcard = (name: string): boolean => name.includes("*");

/** The concrete model's target; null if it has no counterpart. */
function targetOf(name: string, setting: Setting, llm: Llm): ImportedTarget | null {
  const model = llm.models.get(name);
  if (model === undefined) {
    setting.notImported(`there is no model ${name}`);
    return null;
  }
  const upstream = [
    model.get("params", "model"),
    llm.providers.get(model.get("provider", "reference").text ?? "")?.get("params", "model"),
  ].find((setting) => setting?.text !== undefined);
  const text = upstream?.text ?? name;
  if (hasWildcard(text)) {
    model
      .get("name")
      .notImported(
        "an LLMProvider lists its models: set params.model, or write a policy with this wildcard and a provider that lists them",
      );
    return null;
  }
  upstream?.imported("model of the LLMProvider");
  const form = formOf(model, llm);
  const ref = form === null ? null : useModel(form, text, llm.accounts);
  if (ref === null) return null;
  markHealth(model.get("health"));
  return { ref, setting };
}

const partsOf = (model: Setting, { shared }: Llm): PolicyParts => {
  const own = guardOf(model.get(model.get("guardrails").isSet ? "guardrails" : "promptGuard"));
  return { request: requestOf(model), rest: { ...shared.rest, ...own } };
};

/** Adds a model that callers request by name. */
function addModel(name: string, model: Setting, llm: Llm): void {
  const visibility = model.get("visibility");
  if (visibility.text === "internal") {
    visibility.imported("no policy of its own");
    return;
  }
  visibility.imported("a policy of its own");
  const target = targetOf(name, model.get("name"), llm);
  if (target === null) return;
  const upstream = llm.models.get(name)?.get("params", "model");
  const isWildcard = hasWildcard(name);
  const served = isWildcard ? (upstream?.text ?? name) : name;
  if (isWildcard)
    model.get("name").changed(`callers write ${served}: a wildcard serves models that an LLMProvider lists`);
  else model.get("name").imported("match.models");
  addPolicy(served, [[served, model.get("name")]], [target], partsOf(model, llm), llm.manifests);
}

function virtualTargets(routing: Setting, llm: Llm): ImportedTarget[] {
  for (const kind of ["weighted", "failover"] as const) {
    const rank = kind === "weighted" ? "weight" : "priority";
    const targets = routing
      .get(kind, "targets")
      .items()
      .flatMap((setting): ImportedTarget[] => {
        const target = targetOf(setting.get("model").text ?? "", setting.get("model"), llm);
        if (target === null) return [];
        setting.get("model").imported(`LLMProvider ${target.ref.provider}`);
        setting.get(rank).imported(`${rank} of the target`);
        return [{ ...target, [rank]: setting.get(rank).number ?? (kind === "weighted" ? 1 : 0) }];
      });
    if (targets.length > 0) return targets;
  }
  const [first] = routing.get("conditional", "targets").items();
  const fallback = routing.get("callout", "failureMode", "fallback");
  const setting = first?.get("model") ?? fallback;
  for (const setting of routing.get("conditional", "targets").items())
    setting
      .get("when")
      .notImported(
        "write a rule of routing.rules, whose conditions are headers, teams, roles and the size of the prompt",
      );
  routing.get("callout", "host").notImported("no service chooses the model: write rules of routing.rules");
  if (setting.text === undefined) return [];
  setting.changed("every call goes to this model until you add routing.rules");
  const target = targetOf(setting.text, setting, llm);
  return target === null ? [] : [target];
}

function addVirtualModel(virtual: Setting, llm: Llm): void {
  const name = virtual.get("name");
  if (name.text === undefined) return;
  const targets = virtualTargets(virtual.get("routing"), llm);
  if (targets.length === 0) return;
  name.imported("match.models");
  addPolicy(
    name.text,
    [[name.text, name]],
    targets,
    { rest: llm.shared.rest ?? {}, request: requestOf(virtual) },
    llm.manifests,
  );
}

/** Settings that apply to every model. */
function sharedParts(policies: Setting): PolicyParts {
  const limits = policies.get("localRateLimit");
  const rest = {
    ...guardOf(policies.get("ai", "promptGuard")),
    ...guardOf(policies.get("promptGuard")),
    ...limitsOf(limits),
  };
  if ("limits" in rest)
    limits.remark("Changed", "each policy has these limits of its own; a Budget with limits holds for all together");
  return { rest };
}

export function addLlm(llm: Setting, accounts: Accounts, manifests: Manifests, options: ImportOptions): void {
  const byName = (list: Setting): Map<string, Setting> => {
    const byName = new Map<string, Setting>();
    for (const setting of list.items()) {
      const name = setting.get("name").text;
      if (name === undefined) continue;
      if (!byName.has(name)) byName.set(name, setting);
      else
        setting.notImported(
          "a policy is chosen by model: write a rule of routing.rules for the other of the same name",
        );
    }
    return byName;
  };
  const all: Llm = {
    providers: byName(llm.get("providers")),
    models: byName(llm.get("models")),
    accounts,
    manifests,
    options,
    shared: sharedParts(llm.get("policies")),
  };
  for (const [name, model] of all.models) addModel(name, model, all);
  for (const virtual of llm.get("virtualModels").items()) addVirtualModel(virtual, all);
  for (const [name, provider] of all.providers) provider.get("name").imported(`LLMProvider ${name}`);
  for (const model of llm.get("models").items())
    for (const name of ["name", "visibility"]) model.get(name).imported("model");
  addKeys(llm.get("policies", "apiKey"), manifests);
  llm
    .get("policies", "jwtAuth")
    .notImported("callers need an ApiKey, or a token of an issuer in Helm's operator.identity");
  for (const name of ["port", "gateways"]) llm.get(name).imported("the chart's Service has the port");
}
