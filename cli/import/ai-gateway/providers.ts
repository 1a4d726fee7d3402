/** `providers` → LLMProviders. */
import type { Account, Accounts, ModelRef } from "../accounts.ts";
import { actualService, addressFrom } from "../address.ts";
import { perMillion } from "../amounts.ts";
import { countField, firstSet, moneyField, section, timerField } from "../fields.ts";
import type { Spec } from "../manifests.ts";
import { type SecretValue, secretFrom, variableOf } from "../secret-value.ts";
import { type Service, serviceNamed } from "../services.ts";
import type { Setting } from "../setting.ts";
import type { ImportOptions } from "../source.ts";

/** The facts about a provider that policies need. */
export interface GuideProvider {
  /** Its name in the configuration, which rules and canaries refer to. */
  name: string;
  setting: Setting;
  priority: number;
  weight: number | null;
  /** By the name in the configuration. */
  models: Map<string, ModelRef>;
}

/** Settings of the whole file that every LLMProvider gets. */
function sharedSettings(document: Setting): Spec {
  const routing = document.get("routing");
  const retry = firstSet(document, "retry", "routing.retry");
  const timeouts = firstSet(document, "timeouts", "timeout", "routing.timeouts");
  const breaker = firstSet(document, "circuit_breaker", "routing.circuit_breaker", "resilience.circuit_breaker");
  return {
    ...section("timeouts", {
      ...timerField(firstSet(timeouts, "connect", "connect_timeout"), "timeouts.connect"),
      ...timerField(firstSet(timeouts, "write", "write_timeout"), "timeouts.write"),
      ...timerField(firstSet(timeouts, "read", "read_timeout"), "timeouts.idle"),
      ...timerField(firstSet(timeouts, "total", "request", "request_timeout"), "timeouts.total"),
    }),
    ...section("retry", {
      ...countField(firstSet(retry, "attempts", "max_attempts", "max_retries"), "retry.attempts", 10),
      ...countField(routing.get("retry_attempts"), "retry.attempts", 10),
      ...timerField(firstSet(retry, "initial_delay", "delay"), "retry.initialDelay"),
      ...timerField(routing.get("retry_delay"), "retry.initialDelay"),
      ...timerField(firstSet(retry, "max_delay"), "retry.maxDelay"),
      ...countField(firstSet(retry, "multiplier", "backoff_multiplier"), "retry.multiplier", 10),
    }),
    ...section("circuitBreaker", {
      ...countField(breaker.get("failure_threshold"), "circuitBreaker.failureThreshold", 1_000),
      ...countField(breaker.get("success_threshold"), "circuitBreaker.successThreshold", 100),
      ...timerField(firstSet(breaker, "timeout", "open_timeout", "reset_timeout"), "circuitBreaker.openFor"),
      ...countField(
        firstSet(breaker, "half_open_requests", "half_open_max_requests"),
        "circuitBreaker.halfOpenRequests",
        100,
      ),
    }),
  };
}

function healthCheck(setting: Setting): Spec {
  const path = firstSet(setting, "path", "endpoint");
  if (path.text === undefined || !path.text.startsWith("/")) return {};
  path.imported("healthCheck.path");
  return section("healthCheck", {
    path: path.text,
    ...timerField(setting.get("interval"), "healthCheck.interval"),
    ...timerField(setting.get("timeout"), "healthCheck.timeout"),
    ...countField(firstSet(setting, "expected_status", "expected_status_code"), "healthCheck.expectedStatus", 599, 200),
  });
}

/** Credentials and options that the type needs. */
function optionsOf(entry: Setting, service: Service, env: ImportOptions["env"]): Record<string, string> {
  if (service.type === "AzureOpenAI") {
    const version = entry.get("api_version");
    if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?$/.test(version.text ?? "")) return {};
    version.imported("spec.options.apiVersion");
    return { surface: "Deployments", apiVersion: version.text ?? "" };
  }
  if (service.type !== "Watsonx") return {};
  const project = firstSet(entry, "project_id", "project");
  const variable = variableOf(project.text ?? "");
  const projectId = variable === null ? project.text : env[variable];
  const known = projectId ?? env["WATSONX_PROJECT_ID"];
  if (known === undefined)
    firstSet(entry, "project_id", "type").changed(
      "set spec.options.projectId, which watsonx.ai needs: PROJECT-ID stands for it",
    );
  else project.imported("spec.options.projectId");
  const region = /^https:\/\/([a-z]{2}-[a-z0-9-]+)\.ml\.cloud/.exec(entry.get("endpoint").text ?? "")?.[1];
  return { projectId: known ?? "PROJECT-ID", ...(region === undefined ? {} : { region }) };
}

function keyOf(entry: Setting, service: Service): { field: string; value: SecretValue; setting?: Setting }[] {
  const setting = firstSet(entry, "api_key", "apiKey", "credentials.api_key");
  const value = secretFrom(setting);
  if (value !== null) return [{ field: "apiKey", value, setting }];
  return service.keyless === true ? [] : [{ field: "apiKey", value: { env: service.variable } }];
}

const perThousand = (setting: Setting): string | null =>
  setting.number === undefined ? null : perMillion(setting.number / 1_000);

/** Prices per thousand or per million tokens. */
function priceOf(model: Setting, entry: Setting): Spec {
  const cost = firstSet(model, "cost", "pricing").isMapping
    ? firstSet(model, "cost", "pricing")
    : firstSet(entry, "cost", "pricing");
  const rate = (side: "input" | "output"): Spec => {
    const thousand = firstSet(
      cost,
      `${side}_per_1k_tokens`,
      `${side}_cost_per_1k_tokens`,
      `${side}_per_1k`,
      `cost_per_1k_${side}_tokens`,
    );
    const text = perThousand(thousand);
    if (text === null)
      return moneyField(firstSet(cost, `${side}_per_million`, `${side}_per_1m_tokens`), `price.${side}PerMillion`);
    thousand.imported(`price.${side}PerMillion is ${text}`);
    return { [`${side}PerMillion`]: text };
  };
  const price = { ...rate("input"), ...rate("output") };
  return Object.keys(price).length === 2 ? { price } : {};
}

function quotaOf(entry: Setting): Spec {
  return section("quota", {
    ...countField(firstSet(entry, "max_requests_per_minute", "requests_per_minute"), "quota.requestsPerMinute"),
    ...countField(
      firstSet(entry, "max_tokens_per_minute", "tokens_per_minute"),
      "quota.tokensPerMinute",
      1_000_000_000_000,
    ),
  });
}

function accountOf(entry: Setting, name: string, named: Service, shared: Spec, { env }: ImportOptions): Account {
  const setting = firstSet(entry, "endpoint", "base_url", "url");
  const variable = variableOf(setting.text ?? "");
  const text = variable === null ? setting.text : env[variable] || undefined;
  const address = setting.isSet ? addressFrom(setting, { text, variable }, named) : {};
  const service = actualService(named, address);
  const region = entry.get("region");
  return {
    name,
    service,
    ...(service.type === "OpenAI" ? {} : address),
    options: optionsOf(entry, service, env),
    credentials: keyOf(entry, service),
    settings: {
      ...shared,
      ...quotaOf(entry),
      ...healthCheck(entry.get("health_check")),
      ...(region.text === undefined ? {} : { region: region.imported("spec.region").text }),
    },
  };
}

function modelsOf(entry: Setting, account: Account, accounts: Accounts): Map<string, ModelRef> {
  const models = new Map<string, ModelRef>();
  for (const model of entry.get("models").items()) {
    const named = model.isMapping ? firstSet(model, "name", "id") : model;
    if (named.text === undefined) continue;
    const ref = accounts.use(account, { upstream: named.text, settings: priceOf(model, entry) });
    models.set(named.text, ref);
    named.imported(`LLMProvider ${ref.provider}, model ${ref.model}`);
  }
  return models;
}

function providerOf(entry: Setting, shared: Spec, accounts: Accounts, options: ImportOptions): GuideProvider[] {
  const name = entry.get("name").text;
  const service = serviceNamed(entry.get("type").text ?? "");
  if (name === undefined || service === null) {
    entry.notImported("it needs a name and a type that Sluice knows");
    return [];
  }
  const models = modelsOf(entry, accountOf(entry, name, service, shared, options), accounts);
  const [first] = models.values();
  entry.get("name").imported(`LLMProvider ${first?.provider ?? name}`);
  entry.get("type").imported("spec.type");
  const priority = entry.get("priority").imported("priority of its targets").number ?? 1;
  const weight = entry.get("weight").imported("weight of its targets").number ?? null;
  return [{ name, setting: entry, priority, weight, models }];
}

export function providersOf(document: Setting, accounts: Accounts, options: ImportOptions): GuideProvider[] {
  const entries = document.get("providers").items();
  if (entries.length === 0) return [];
  const shared = sharedSettings(document);
  return entries.flatMap((entry) => providerOf(entry, shared, accounts, options));
}
