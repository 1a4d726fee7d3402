/** LLMProvider → ProviderConfig. */
import { nearest } from "../../crds/nearest.ts";
import { durationMs } from "../../crds/quantity.ts";
import type { LLMProviderSpec } from "../../crds/types/llm-provider.ts";
import type { Capabilities } from "../../proxy/config/capabilities.ts";
import { optionForm, optionWords } from "../../proxy/config/option-form.ts";
import type { ModelConfig, ProviderConfig } from "../../proxy/config/provider.ts";
import { callAdditionsOf } from "./call-additions.ts";
import { credentialsOf } from "./credentials.ts";
import { checkDiscovery, discoveredNames, discoveryOf } from "./discovery.ts";
import { countingOf } from "./object-alerts.ts";
import { own, type ParsedObject, problem } from "./outcome.ts";
import { poolOf } from "./pool.ts";
import { presetCapabilities } from "./preset.ts";
import { type PriceFinder, priceFinder } from "./price-lookup.ts";
import { tokenTlsOf, upstreamTlsOf } from "./upstream-tls.ts";
import type { Problem } from "./verdict.ts";
import { checkIdentity, identityOf } from "./workload-identity.ts";
import type { CompileInput } from "./world.ts";

type ModelSpec = LLMProviderSpec["models"][number];

const quotaOf = (spec: LLMProviderSpec["quota"]): ProviderConfig["quota"] => ({
  requestsPerMinute: spec?.requestsPerMinute ?? null,
  tokensPerMinute: spec?.tokensPerMinute ?? null,
});

const thinkingTypes = {
  Adaptive: "adaptive",
  Enabled: "enabled",
  Disabled: "disabled",
  BetweenTools: "between_tools",
} as const;

function capabilitiesOf({ capabilities }: ModelSpec): Pick<ModelConfig, "capabilities"> {
  if (capabilities === undefined) return {};
  const { thinking, ...same } = capabilities;
  return {
    capabilities: {
      ...same,
      ...(thinking === undefined ? {} : { thinking: thinking.map((type) => thinkingTypes[type]) }),
    },
  };
}

function modelOf(spec: ModelSpec, priceFor: PriceFinder): ModelConfig {
  return {
    upstream: spec.upstream ?? spec.name,
    sunset: spec.sunset ?? null,
    price: priceFor(spec),
    maxOutputTokens: spec.maxOutputTokens ?? null,
    contextTokens: spec.contextTokens ?? null,
    ...capabilitiesOf(spec),
    quota: quotaOf(spec.quota),
  };
}

/** The problem with one option that an object sets; null if there is none. */
function optionProblem(name: string, value: string, capabilities: Capabilities): Problem | null {
  const declared = own(capabilities.options, name);
  const path = ["spec", "options", name];
  if (declared === undefined) {
    const names = Object.keys(capabilities.options).sort().join(", ") || "none";
    return problem("UnknownField", `${capabilities.type} has no option ${name}; its options are: ${names}`, path);
  }
  if (declared.pattern === undefined || new RegExp(declared.pattern).test(value)) return null;
  const meant = nearest(value, optionWords(declared) ?? []);
  const advice = meant === null ? "" : `; did you mean ${meant}?`;
  return problem("Invalid", `spec.options.${name} must be ${optionForm(declared)}${advice}`, path);
}

/** Options with defaults, checked against what the type declares. */
function optionsOf(spec: LLMProviderSpec, capabilities: Capabilities, problems: Problem[]): Record<string, string> {
  const specified = spec.options ?? {};
  const options: Record<string, string> = {};
  for (const [name, declared] of Object.entries(capabilities.options)) {
    const value = own(specified, name) ?? declared.default;
    if (value !== undefined) options[name] = value;
    else if (declared.required)
      problems.push(
        problem("Invalid", `${capabilities.type} needs spec.options.${name}: ${declared.description}`, [
          "spec",
          "options",
        ]),
      );
  }
  for (const [name, value] of Object.entries(specified)) {
    const wrong = optionProblem(name, value, capabilities);
    if (wrong) problems.push(wrong);
  }
  for (const group of capabilities.exactlyOneOf ?? []) {
    if (group.filter((name) => own(specified, name) !== undefined).length === 1) continue;
    problems.push(
      problem("Invalid", `${capabilities.type} needs exactly one of spec.options.${group.join(" and spec.options.")}`, [
        "spec",
        "options",
      ]),
    );
  }
  return options;
}

function endpointOf(
  spec: LLMProviderSpec,
  capabilities: Capabilities,
  options: Readonly<Record<string, string>>,
  problems: Problem[],
): string {
  const fitting = capabilities.defaultEndpoints?.find(({ options: values }) =>
    Object.entries(values).every(([name, value]) => options[name] === value),
  );
  const usual = fitting?.endpoint ?? capabilities.defaultEndpoint;
  const given = spec.endpoint ?? usual?.replace(/\$\{(\w+)\}/g, (_, name: string) => options[name] ?? "");
  if (given === undefined) {
    const such = capabilities.example?.endpoint === undefined ? "" : `, such as ${capabilities.example.endpoint}`;
    problems.push(
      problem(
        "Invalid",
        `${spec.preset ?? capabilities.type} has no default endpoint; set spec.endpoint to the server's base URL${such}`,
        ["spec"],
      ),
    );
    return "";
  }
  const url = URL.parse(given);
  if (url === null || url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    problems.push(
      problem(
        "Invalid",
        "spec.endpoint must be a URL without user, query and fragment; put credentials into spec.credentials",
        ["spec", "endpoint"],
      ),
    );
  }
  return given.replace(/\/+$/, "");
}

function healthCheckOf({ healthCheck: check }: LLMProviderSpec): ProviderConfig["healthCheck"] {
  if (check === undefined) return null;
  const { path, expectedStatus, failureThreshold, successThreshold } = check;
  return {
    path,
    intervalMs: durationMs(check.interval),
    timeoutMs: durationMs(check.timeout),
    expectedStatus,
    failureThreshold,
    successThreshold,
  };
}

type Resilience = Pick<ProviderConfig, "timeouts" | "retry" | "circuitBreaker" | "healthCheck">;

function resilienceOf(spec: LLMProviderSpec): Resilience {
  const { timeouts, retry, circuitBreaker: breaker } = spec;
  return {
    timeouts: {
      connectMs: durationMs(timeouts.connect),
      writeMs: durationMs(timeouts.write),
      responseMs: durationMs(timeouts.response),
      firstTokenMs: durationMs(timeouts.firstToken),
      idleMs: durationMs(timeouts.idle),
      totalMs: durationMs(timeouts.total),
    },
    retry: {
      attempts: retry.attempts,
      initialDelayMs: durationMs(retry.initialDelay),
      maxDelayMs: durationMs(retry.maxDelay),
      multiplier: retry.multiplier,
      jitter: Number(retry.jitter),
    },
    circuitBreaker: {
      failureThreshold: breaker.failureThreshold,
      successThreshold: breaker.successThreshold,
      openForMs: durationMs(breaker.openFor),
      halfOpenRequests: breaker.halfOpenRequests,
    },
    healthCheck: healthCheckOf(spec),
  };
}

function checkModelNames({ models }: LLMProviderSpec, accepted: Problem[]): void {
  const names = models.map((model) => model.name);
  const twice = names.findIndex((name, index) => names.indexOf(name) !== index);
  if (twice >= 0)
    accepted.push(problem("Invalid", `spec.models names ${names[twice]} twice`, ["spec", "models", twice, "name"]));
}

function modelsOf(
  spec: LLMProviderSpec,
  discovered: readonly string[],
  priceFor: PriceFinder,
): ProviderConfig["models"] {
  const discoveredModel = (name: string): ModelConfig => ({ ...modelOf({ name }, priceFor), discovered: true });
  // Not by assignment: a model may be named __proto__.
  return Object.fromEntries([
    ...spec.models.map((model) => [model.name, modelOf(model, priceFor)] as const),
    ...discovered.map((name) => [name, discoveredModel(name)] as const),
  ]);
}

export interface CompiledProvider {
  config: ProviderConfig;
  accepted: Problem[];
  resolvedRefs: Problem[];
}

export function compileProvider(
  provider: ParsedObject<"LLMProvider">,
  declared: Capabilities,
  input: CompileInput,
): CompiledProvider {
  const { world } = input;
  const { spec } = provider;
  const accepted: Problem[] = [];
  const resolvedRefs: Problem[] = [];
  const problems = { accepted, refs: resolvedRefs };
  const capabilities = presetCapabilities(spec, declared, accepted);
  checkModelNames(spec, accepted);
  const options = optionsOf(spec, capabilities, accepted);
  const endpoint = endpointOf(spec, capabilities, options, accepted);
  const identity =
    spec.credentials?.workloadIdentity === undefined ? null : identityOf(spec.credentials.workloadIdentity);
  if (identity !== null)
    accepted.push(...checkIdentity(provider.meta.namespace, identity, capabilities, input.settings));
  const discovery = discoveryOf(spec);
  if (discovery !== null) accepted.push(...checkDiscovery(capabilities));
  const discovered =
    discovery === null
      ? []
      : discoveredNames(
          { id: provider.id, type: spec.type, endpoint },
          discovery,
          spec.models.map((model) => model.name),
          input.discovered?.get(provider.id),
          input.previous?.providers.find(({ id }) => id === provider.id),
        );
  const credentials = credentialsOf(provider, capabilities, input, resolvedRefs);
  const config: ProviderConfig = {
    id: provider.id,
    type: spec.type,
    endpoint,
    allowPrivateEndpoint: spec.allowPrivateEndpoint,
    ...poolOf(provider, input, problems),
    tls: upstreamTlsOf(provider, endpoint, input, problems),
    ...tokenTlsOf(provider, capabilities, options, input, problems),
    credentials,
    ...(identity === null ? {} : { identity }),
    ...callAdditionsOf(provider, capabilities, world, problems),
    options,
    region: spec.region ?? null,
    models: modelsOf(spec, discovered, priceFinder(spec, capabilities, input, accepted)),
    ...(discovery === null ? {} : { discovery }),
    unsupportedParameters: spec.unsupportedParameters,
    ...resilienceOf(spec),
    quota: quotaOf(spec.quota),
    ...(spec.alertWhen === undefined ? {} : { watch: countingOf(spec.alertWhen) }),
  };
  return { config, accepted, resolvedRefs };
}
