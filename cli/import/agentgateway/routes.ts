/** Routes with AI backends, of `binds`, `gateways` and `routes` → RoutingPolicies. */
import type { Accounts } from "../accounts.ts";
import type { NamedModel } from "../bounds.ts";
import type { Manifests } from "../manifests.ts";
import type { Setting } from "../setting.ts";
import type { ImportOptions } from "../source.ts";
import { addKeys } from "./keys.ts";
import { guardOf, limitsOf, markPath, providerSettings, requestOf } from "./parts.ts";
import { addPolicy, type ImportedTarget } from "./policies.ts";
import { baseOf, keyCredential, type ProviderForm, useModel, workloadIdentityOf } from "./providers.ts";

export interface RouteContext {
  accounts: Accounts;
  manifests: Manifests;
  options: ImportOptions;
}

/** Models that the route offers in addition to those of its providers: listed ones and aliases. */
interface OfferedModels {
  listed: NamedModel[];
  /** The upstream's name, by the caller's. */
  aliases: Map<string, Setting>;
}

function offeredModels(ai: Setting): OfferedModels {
  const aliases = new Map<string, Setting>();
  for (const [name, upstream] of ai.get("modelAliases").entries()) {
    if (name.includes("*")) upstream.notImported("an alias is a name: write a policy for each model");
    else {
      aliases.set(name, upstream);
      upstream.imported(`a policy for ${name}`);
    }
  }
  const listed = ai
    .get("models")
    .items()
    .flatMap((setting): NamedModel[] => {
      const id = setting.get("id");
      setting.imported("match.models", ["id"]);
      return id.text === undefined ? [] : [[id.text, id]];
    });
  for (const name of ["routes", "promptCaching"])
    ai.get(name).mark(
      name === "routes" ? "Imported" : "Changed",
      name === "routes" ? "every path of the APIs is served" : "callers mark what is cached",
    );
  return { listed, aliases };
}

export interface RouteProvider {
  form: ProviderForm;
  /** The provider's only model, whatever callers ask for. */
  model: Setting;
  setting: Setting;
  weight?: number;
  priority?: number;
}

/** The member of `provider` that is named after the kind. */
export function kindMember(provider: Setting): Setting | undefined {
  return provider
    .entries()
    .find(([, setting]) => setting.isMapping || setting.value === null || setting.value === undefined)?.[1];
}

interface RouteTarget extends ImportedTarget {
  model: Setting;
}

function targetsFor(
  providers: readonly RouteProvider[],
  upstream: string | null,
  context: RouteContext,
): RouteTarget[] {
  return providers.flatMap(({ form, model, setting, ...rank }): RouteTarget[] => {
    const name = upstream ?? model.text;
    const ref = name === undefined ? null : useModel(form, name, context.accounts);
    return ref === null ? [] : [{ ...rank, ref, setting, model }];
  });
}

/** Policies for the models of a route: its providers' own, or those that it lists. */
export function addRoutePolicies(
  name: string,
  providers: readonly RouteProvider[],
  { ai, limits }: { ai: Setting; limits: Setting },
  context: RouteContext,
): void {
  const { listed, aliases } = offeredModels(ai);
  const parts = { request: requestOf(ai), rest: { ...guardOf(ai.get("promptGuard")), ...limitsOf(limits) } };
  const own = providers.filter(({ model }) => model.text !== undefined && model.text !== "");
  let added = 0;
  const add = (policy: string, models: readonly NamedModel[], targets: readonly RouteTarget[]): void => {
    addPolicy(policy, models, targets, parts, context.manifests);
    added += targets.length;
  };
  const targets = targetsFor(own, null, context);
  const names = new Map(targets.map(({ model }): [string, Setting] => [model.text ?? "", model]));
  for (const { model } of targets) model.imported("model of the LLMProvider");
  if (targets.length > 0) add(name, [...names], targets);
  if (own.length === 0)
    for (const model of listed) add(`${name}-${model[0]}`, [model], targetsFor(providers, model[0], context));
  for (const [alias, upstream] of aliases)
    add(`${name}-${alias}`, [[alias, upstream]], targetsFor(providers, upstream.text ?? alias, context));
  if (added === 0)
    for (const { setting } of providers)
      setting.remark(
        "NotImported",
        "an LLMProvider lists its models: set model of the provider, or models of the AI policy",
      );
}

function providerOf(
  entry: Setting,
  policies: readonly Setting[],
  rank: Pick<RouteProvider, "weight" | "priority">,
  context: RouteContext,
): RouteProvider[] {
  const provider = entry.get("provider");
  const kind = kindMember(provider);
  if (kind === undefined) {
    provider.notImported("the provider is not known");
    return [];
  }
  const auth =
    [entry.get("policies", "backendAuth"), ...policies.map((policy) => policy.get("backendAuth"))].find(
      (setting) => setting.isSet,
    ) ?? entry.get("policies", "backendAuth");
  const policy = policies[0] ?? entry.get("policies");
  const settings = providerSettings(
    policy.get("retry"),
    policy.get("timeout").isSet ? policy.get("timeout") : policy.get("timeouts"),
  );
  const host = kind.get("host").isSet ? kind : entry;
  const form: ProviderForm = {
    name: entry.get("name").text ?? kind.name,
    kind: kind.name,
    setting: provider,
    fields: kind,
    base: baseOf(
      host,
      { host: host === kind ? "host" : "hostOverride", path: host === kind ? "path" : "pathPrefix", kind: kind.name },
      context.options,
    ),
    credentials: keyCredential(auth.get("key")),
    ...workloadIdentityOf(auth),
    ...(Object.keys(settings).length === 0 ? {} : { settings }),
  };
  provider.mark("Imported", "type of the LLMProvider", []);
  if (kind.entries().length === 0) kind.imported("type of the LLMProvider");
  return [{ form: { ...form, setting: entry.get("name") }, model: kind.get("model"), setting: provider, ...rank }];
}

/** An AI backend has one provider, or groups of them, of which the first is preferred. */
function providersOf(
  backend: Setting,
  policies: readonly Setting[],
  isOnly: boolean,
  context: RouteContext,
): RouteProvider[] {
  const ai = backend.get("ai");
  const settings = [...policies, backend.get("policies")];
  const weight = backend.get("weight");
  weight.imported("weight of the target");
  if (!ai.get("groups").isSet) return providerOf(ai, settings, isOnly ? {} : { weight: weight.number ?? 1 }, context);
  return ai
    .get("groups")
    .items()
    .flatMap((group, priority) =>
      group
        .get("providers")
        .items()
        .flatMap((setting) => providerOf(setting, settings, { priority }, context)),
    );
}

function addRoute(route: Setting, name: string, context: RouteContext): void {
  const backends = route.get("backends").items();
  const isAi = (backend: Setting): boolean => backend.get("ai").isSet;
  for (const backend of backends) if (!isAi(backend)) backend.notImported("only calls of models are served");
  const models = backends.filter(isAi);
  const policies = route.get("policies");
  if (models.length === 0) {
    policies.notImported("it belongs to a route that serves no models");
    return;
  }
  const providers = models.flatMap((backend) => providersOf(backend, [policies], models.length === 1, context));
  addRoutePolicies(name, providers, { ai: policies.get("ai"), limits: policies.get("localRateLimit") }, context);
  addKeys(policies.get("apiKey"), context.manifests);
  route.get("name").imported("name of the policy");
  markRoute(route, policies);
}

/** Marks settings that Sluice handles by itself. */
function markRoute(route: Setting, policies: Setting): void {
  for (const match of route.get("matches").items()) {
    markPath(match.get("path"));
    for (const name of ["headers", "query", "method"])
      match.get(name).notImported("a policy is chosen by model: write a rule of routing.rules");
  }
  policies.get("urlRewrite").imported("paths of providers are the type's own");
  policies
    .get("backendTLS")
    .changed("certificates of public authorities are trusted; spec.tls of an LLMProvider names others");
  policies.get("cors").notImported("Helm's cors lists the origins of web pages");
  policies.get("jwtAuth").notImported("callers need an ApiKey, or a token of an issuer in Helm's operator.identity");
}

/** Every route of a configuration, with the listeners and gateways around it. */
export function addRoutes(config: Setting, context: RouteContext): void {
  const listeners = [
    ...config.get("binds").items(),
    ...config
      .get("gateways")
      .entries()
      .map(([, gateway]) => gateway),
  ].flatMap((bind) => {
    bind.get("port").imported("the chart's Service has the port");
    return [bind, ...bind.get("listeners").items()];
  });
  for (const listener of listeners)
    for (const name of ["name", "protocol", "hostname", "port", "tls"])
      listener.get(name).imported("the chart has the Service, and Helm values its certificate");
  const routes = [config, ...listeners].flatMap((owner) => owner.get("routes").items());
  for (const [index, route] of routes.entries())
    addRoute(route, route.get("name").text ?? (routes.length === 1 ? "llm" : `llm-${index + 1}`), context);
}
