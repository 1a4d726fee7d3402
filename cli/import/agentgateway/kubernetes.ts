/** AgentgatewayBackend, AgentgatewayModel, AgentgatewayPolicy and HTTPRoute resources, and the Secrets that they name. */
import type { Credential } from "../accounts.ts";
import type { Spec } from "../manifests.ts";
import { resourceName } from "../resource-index.ts";
import { secretFrom } from "../secret-value.ts";
import type { Setting } from "../setting.ts";
import { limitsOf, markCustom, markHealth, markPath, providerSettings } from "./parts.ts";
import { addPolicy, type ImportedTarget } from "./policies.ts";
import { baseOf, keyCredential, type ProviderForm, useModel, workloadIdentityOf } from "./providers.ts";
import { ignored, Resources } from "./resources.ts";
import { addRoutePolicies, kindMember, type RouteContext, type RouteProvider } from "./routes.ts";

/** The key Authorization of the Secret, with or without the word Bearer. */
function secretCredential(ref: Setting, resources: Resources): Credential[] {
  const name = ref.get("name");
  if (name.text === undefined) return [];
  const secret = resources.find("Secret", name.text);
  const [clear, encoded] = [secret?.get("stringData", "Authorization"), secret?.get("data", "Authorization")];
  const outside = { outside: `from the key Authorization of Secret ${name.text}, without the word Bearer` };
  for (const secret of [clear, encoded]) secret?.mark("Secret", "moved to the Secret of the LLMProvider");
  const decoded = encoded?.text === undefined ? undefined : Buffer.from(encoded.text, "base64").toString("utf8").trim();
  const source = decoded === undefined ? (clear === undefined ? null : secretFrom(clear)) : { clear: decoded };
  const value = source !== null && "clear" in source ? { clear: source.clear.replace(/^Bearer /i, "") } : source;
  return [{ field: "apiKey", value: value ?? outside, setting: ref }];
}

type Access = Pick<ProviderForm, "credentials" | "workloadIdentity">;

function accessOf(auth: Setting, resources: Resources): Access {
  const key = keyCredential(auth.get("key"));
  return {
    credentials: key.length > 0 ? key : secretCredential(auth.get("secretRef"), resources),
    ...workloadIdentityOf(auth),
  };
}

/** Members of a provider that don't name its kind. */
const common = new Set([
  "name",
  "host",
  "port",
  "path",
  "pathPrefix",
  "policies",
  "hostOverride",
  "pathOverride",
  "authHeader",
]);

function providerOf(
  entry: Setting,
  wished: string,
  auth: Setting,
  settings: Spec,
  resources: Resources,
  context: RouteContext,
): RouteProvider[] {
  const kind = kindMember(entry) ?? entry.entries().find(([name]) => !common.has(name))?.[1];
  if (kind === undefined || common.has(kind.name)) {
    entry.notImported("the provider is not known");
    return [];
  }
  const azure = kind.get("endpoint");
  const path = entry.get("path").isSet ? "path" : "pathPrefix";
  const base = azure.isSet
    ? baseOf(kind, { url: "endpoint", host: "endpoint", path: "path", kind: kind.name }, context.options)
    : baseOf(entry, { host: "host", port: "port", path, kind: kind.name }, context.options);
  const own = entry.get("policies", "auth");
  const deployment = kind.get("deploymentName");
  if (kind.entries().length === 0) kind.imported("type of the LLMProvider");
  const form: ProviderForm = {
    name: entry.get("name").text ?? wished,
    kind: kind.name,
    setting: entry.get("name"),
    fields: kind,
    base,
    ...accessOf(own.isSet ? own : auth, resources),
    ...(Object.keys(settings).length === 0 ? {} : { settings }),
  };
  return [{ form, model: deployment.isSet ? deployment : kind.get("model"), setting: kind }];
}

function backendProviders(
  backend: Setting,
  settings: Spec,
  resources: Resources,
  context: RouteContext,
): RouteProvider[] {
  const [ai, auth] = [backend.get("spec", "ai"), backend.get("spec", "policies", "auth")];
  const wished = resourceName(backend);
  if (!ai.get("groups").isSet) return providerOf(ai.get("provider"), wished, auth, settings, resources, context);
  return ai
    .get("groups")
    .items()
    .flatMap((group, priority) =>
      group
        .get("providers")
        .items()
        .flatMap((setting) => providerOf(setting, wished, auth, settings, resources, context))
        .map((provider) => ({ ...provider, priority })),
    );
}

/** Settings from a policy on the route or the backend. */
function policyParts(policy: Setting | undefined): { settings: Spec; limits: Setting | undefined } {
  const traffic = policy?.get("spec", "traffic");
  if (policy === undefined || traffic === undefined) return { settings: {}, limits: undefined };
  policy.get("spec", "targetRefs").imported("the policy of the route");
  markHealth(policy.get("spec", "backend", "health"));
  for (const name of ["apiKeyAuthentication", "jwtAuthentication", "extAuth", "authorization", "basicAuthentication"])
    traffic.get(name).notImported("callers need an ApiKey, or a token of an issuer in Helm's operator.identity");
  traffic.get("rateLimit", "global").notImported("set limits of the policy, or a Budget");
  return {
    settings: providerSettings(traffic.get("retry"), traffic.get("timeouts")),
    limits: traffic.get("rateLimit", "local"),
  };
}

interface RouteBackend {
  ref: Setting;
  backend: Setting;
}

/** Backends of models; others are reported. */
function backendsOf(rule: Setting, resources: Resources): RouteBackend[] {
  return rule
    .get("backendRefs")
    .items()
    .filter((ref) => ref.get("kind").text === "AgentgatewayBackend")
    .flatMap((ref): RouteBackend[] => {
      const backend = resources.find("AgentgatewayBackend", ref.get("name").text);
      if (backend?.get("spec", "ai").isSet === true) return [{ ref, backend }];
      ref
        .get("name")
        .notImported(
          backend === undefined
            ? "the AgentgatewayBackend is not part of the import"
            : "only calls of models are served",
        );
      return [];
    });
}

/** Marks settings that Sluice handles by itself. */
function markRule(rule: Setting, backends: readonly RouteBackend[]): void {
  for (const { ref } of backends)
    for (const field of ["group", "kind", "name", "namespace", "weight", "port"])
      ref.get(field).imported("targets of the policy");
  for (const match of rule.get("matches").items()) {
    markPath(match.get("path"));
    match.get("headers").notImported("a policy is chosen by model: write a rule of routing.rules");
  }
  for (const filter of rule.get("filters").items()) {
    if (filter.get("type").text === "URLRewrite") filter.imported("paths of providers are the type's own");
    else filter.notImported("spec.headers of an LLMProvider adds headers");
  }
}

function addRule(
  rule: Setting,
  name: string,
  policy: Setting | undefined,
  resources: Resources,
  context: RouteContext,
): boolean {
  const backends = backendsOf(rule, resources);
  const { settings, limits } = policyParts(policy);
  const timeouts = providerSettings(rule.get("none"), rule.get("timeouts"));
  const providers = backends.flatMap(({ ref, backend }): RouteProvider[] => {
    const own = policyParts(resources.policyOf("AgentgatewayBackend", resourceName(backend)));
    const providers = backendProviders(backend, { ...own.settings, ...settings, ...timeouts }, resources, context);
    const weight = backends.length > 1 ? { weight: ref.get("weight").number ?? 1 } : {};
    return providers.map((provider) => ({ ...weight, ...provider }));
  });
  const [first] = backends;
  if (first === undefined) return false;
  const attached = policy?.get("spec", "backend", "ai");
  const ai = attached?.isSet === true ? attached : first.backend.get("spec", "policies", "ai");
  addRoutePolicies(name, providers, { ai, limits: limits ?? rule.get("none") }, context);
  markRule(rule, backends);
  return true;
}

function addHttpRoute(route: Setting, resources: Resources, context: RouteContext): void {
  const rules = route.get("spec", "rules").items();
  const policy = resources.policyOf("HTTPRoute", resourceName(route));
  const added = rules.map((rule, index) =>
    addRule(
      rule,
      rules.length === 1 ? resourceName(route) : `${resourceName(route)}-${index + 1}`,
      policy,
      resources,
      context,
    ),
  );
  if (!added.includes(true)) route.get("spec").notImported("only calls of models are served");
  for (const name of ["parentRefs", "hostnames"]) route.get("spec", name).imported("the chart has the Service");
}

function modelTarget(
  model: Setting,
  setting: Setting,
  resources: Resources,
  context: RouteContext,
): ImportedTarget | null {
  const spec = model.get("spec");
  const kind = spec.get("provider");
  const upstream = [spec.get("model"), spec.get("match", "model")].find((setting) => setting.text !== undefined);
  const form: ProviderForm = {
    name: (kind.text ?? "provider").toLowerCase(),
    kind: (kind.text ?? "").toLowerCase(),
    setting: kind,
    fields: spec.get((kind.text ?? "").toLowerCase()),
    base: baseOf(
      spec,
      { url: "baseURL", host: "host", port: "port", path: "path", kind: kind.text ?? "" },
      context.options,
    ),
    ...accessOf(spec.get("policies", "auth").isSet ? spec.get("policies", "auth") : spec.get("auth"), resources),
  };
  const ref = useModel(form, upstream?.text ?? resourceName(model), context.accounts);
  upstream?.imported("model of the LLMProvider");
  markCustom(spec.get("custom"));
  return ref === null ? null : { ref, setting };
}

function virtualTarget(
  setting: Setting,
  rank: "weight" | "priority",
  resources: Resources,
  context: RouteContext,
): ImportedTarget[] {
  const names = [setting.get("modelRef", "name"), setting.get("model"), setting.get("name")];
  const ref = names.find((name) => name.text !== undefined) ?? setting.get("model");
  const model = resources.find("AgentgatewayModel", ref.text);
  const target = model === undefined ? null : modelTarget(model, ref, resources, context);
  setting.get(rank).imported(`${rank} of the target`);
  if (target === null) {
    ref.notImported("there is no such model");
    return [];
  }
  ref.imported("target of the policy");
  return [{ ...target, [rank]: setting.get(rank).number ?? (rank === "weight" ? 1 : 0) }];
}

function virtualTargets(virtual: Setting, resources: Resources, context: RouteContext): ImportedTarget[] {
  const targetsBy = (kind: string, rank: "weight" | "priority"): ImportedTarget[] =>
    virtual
      .get(kind, "targets")
      .items()
      .flatMap((setting) => virtualTarget(setting, rank, resources, context));
  const weighted = targetsBy("weighted", "weight");
  return weighted.length > 0 ? weighted : targetsBy("failover", "priority");
}

function addModel(model: Setting, resources: Resources, context: RouteContext): void {
  const spec = model.get("spec");
  const name = spec.get("match", "model").text ?? resourceName(model);
  spec.get("parentRefs").imported("the chart has the Service");
  spec.get("visibility").imported("whether it has a policy of its own");
  spec.get("match", "model").imported("match.models");
  if (spec.get("visibility").text === "Internal") return;
  const virtual = spec.get("virtualModel");
  const single = virtual.isSet ? null : modelTarget(model, model.get("metadata", "name"), resources, context);
  const targets = virtual.isSet ? virtualTargets(virtual, resources, context) : single === null ? [] : [single];
  const { limits } = policyParts(resources.policyOf("AgentgatewayModel", resourceName(model)));
  addPolicy(
    name,
    [[name, spec.get("match", "model")]],
    targets,
    { rest: limits === undefined ? {} : limitsOf(limits) },
    context.manifests,
  );
}

export function addResources(documents: readonly Setting[], context: RouteContext): void {
  const resources = new Resources(documents);
  for (const route of resources.of("HTTPRoute")) addHttpRoute(route, resources, context);
  for (const model of resources.of("AgentgatewayModel")) addModel(model, resources, context);
  for (const resource of resources.all) {
    const kind = resource.get("kind").text ?? "";
    const why = Object.hasOwn(ignored, kind) ? ignored[kind] : undefined;
    if (why !== undefined) resource.get("spec").notImported(why);
    for (const name of ["apiVersion", "kind", "metadata", "status", "type"]) resource.get(name).imported("not needed");
  }
}
