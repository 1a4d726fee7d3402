/** `providers` → LLMProviders, one for each key, as each key is a separate account. */
import type { Account, Accounts, Credential, ModelRef } from "../accounts.ts";
import { type AccountAddress, accountName, actualService, addressFrom } from "../address.ts";
import { attemptsFrom } from "../bounds.ts";
import { placeholderEndpoint } from "../endpoint.ts";
import { firstSet, section, timerField } from "../fields.ts";
import type { Spec } from "../manifests.ts";
import { isPlaceholder, secretFrom, variableOf } from "../secret-value.ts";
import { type Service, serviceNamed } from "../services.ts";
import type { Setting } from "../setting.ts";
import type { ImportOptions } from "../source.ts";

/** A model that a key of a provider serves. */
export interface Offer {
  provider: string;
  model: string;
  ref: ModelRef;
  weight: number;
  /** The key that serves it. */
  setting: Setting;
}

const plain = (setting: Setting, { env }: ImportOptions) => {
  const variable = variableOf(setting.text ?? "");
  return { text: variable === null ? setting.text : env[variable] || undefined, variable };
};

function settingsOf(provider: Setting): Spec {
  const network = provider.get("network_config");
  const [whole] = Object.values(
    timerField(network.get("default_request_timeout_in_seconds"), "timeouts.response and timeouts.firstToken"),
  );
  const retries = network.get("max_retries");
  const attempts = attemptsFrom(retries);
  return {
    ...section("timeouts", {
      ...(whole === undefined ? {} : { response: whole, firstToken: whole }),
      ...timerField(network.get("stream_idle_timeout_in_seconds"), "timeouts.idle"),
    }),
    ...section("retry", {
      ...attempts,
      ...timerField(
        firstSet(network, "retry_backoff_initial", "retry_backoff_initial_ms"),
        "retry.initialDelay",
        0.001,
      ),
      ...timerField(firstSet(network, "retry_backoff_max", "retry_backoff_max_ms"), "retry.maxDelay", 0.001),
    }),
  };
}

function addressOf(key: Setting, provider: Setting, service: Service, options: ImportOptions): AccountAddress {
  const setting = [
    key.get("azure_key_config", "endpoint"),
    key.get("ollama_key_config", "url"),
    key.get("vllm_key_config", "url"),
    key.get("sgl_key_config", "url"),
    provider.get("network_config", "base_url"),
  ].find((setting) => setting.isSet && setting.text !== "");
  if (setting === undefined)
    return service.type === "AzureOpenAI" ||
      (service.type === "OpenAICompatible" && service.endpoint === undefined && service.keyless === true)
      ? { endpoint: placeholderEndpoint(`${provider.name}-endpoint`) }
      : {};
  const address = addressFrom(setting, plain(setting, options), service);
  // Bifrost adds /v1 to the base URL of services in OpenAI's format.
  const path = URL.parse(address.endpoint ?? "")?.pathname;
  const adds = (service.type === "OpenAI" || service.type === "OpenAICompatible") && path === "/";
  return adds ? { ...address, endpoint: `${address.endpoint?.replace(/\/$/, "")}/v1` } : address;
}

type Access = Pick<Account, "credentials" | "workloadIdentity" | "options">;

function credential(field: string, setting: Setting): Credential[] {
  const value = isPlaceholder(setting.text ?? "") ? null : secretFrom(setting);
  if (value === null) setting.imported("stands for no key");
  return value === null ? [] : [{ field, value, setting }];
}

function option(name: string, setting: Setting, options: ImportOptions, otherwise?: string): Record<string, string> {
  const { text, variable } = plain(setting, options);
  if (text !== undefined && text !== "") {
    setting.imported(`spec.options.${name}`);
    return { [name]: text };
  }
  setting.changed(`set spec.options.${name}: the variable ${variable} is not set`);
  return otherwise === undefined ? {} : { [name]: otherwise };
}

function azureAccess(key: Setting, options: ImportOptions): Access {
  const azure = key.get("azure_key_config");
  const version = azure.get("api_version");
  const isDated = /^[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?$/.test(version.text ?? "");
  version.mark(
    isDated ? "Imported" : "Changed",
    isDated ? "spec.options.apiVersion" : "calls go to /openai/v1, which needs no version",
  );
  const dated: Record<string, string> = isDated ? { surface: "Deployments", apiVersion: version.text ?? "" } : {};
  const own = credential("apiKey", key.get("value"));
  if (own.length > 0) return { credentials: own, options: dated };
  const secret = credential("clientSecret", azure.get("client_secret"));
  if (secret.length === 0) return { credentials: [], workloadIdentity: { azure: {} }, options: dated };
  const id = "00000000-0000-0000-0000-000000000000";
  const entra = {
    ...option("clientId", azure.get("client_id"), options, id),
    ...option("tenantId", azure.get("tenant_id"), options, id),
  };
  return { credentials: secret, options: { ...dated, ...entra } };
}

function accessOf(key: Setting, service: Service, options: ImportOptions): Access {
  if (service.type === "AzureOpenAI") return azureAccess(key, options);
  if (service.type === "Bedrock") {
    const aws = key.get("bedrock_key_config");
    const region = option("region", aws.get("region"), options, "us-east-1");
    const keys = [
      ...credential("accessKeyId", aws.get("access_key")),
      ...credential("secretAccessKey", aws.get("secret_key")),
    ];
    const awsOptions = { region: "us-east-1", ...region };
    if (keys.length === 2)
      return { credentials: [...keys, ...credential("sessionToken", aws.get("session_token"))], options: awsOptions };
    const own = credential("apiKey", key.get("value"));
    return own.length > 0
      ? { credentials: own, options: awsOptions }
      : { credentials: [], workloadIdentity: { aws: {} }, options: awsOptions };
  }
  if (service.type === "VertexAI") {
    const vertex = key.get("vertex_key_config");
    const place = {
      ...option("project", vertex.get("project_id"), options),
      ...option("location", vertex.get("region"), options),
    };
    const googleOptions = { project: "my-project", location: "us-central1", ...place };
    const account = credential("serviceAccountJson", vertex.get("auth_credentials"));
    return account.length > 0
      ? { credentials: account, options: googleOptions }
      : { credentials: [], workloadIdentity: { google: {} }, options: googleOptions };
  }
  const own = credential("apiKey", key.get("value"));
  const needed = own.length === 0 && service.keyless !== true;
  return { credentials: needed ? [{ field: "apiKey", value: { env: service.variable } }] : own };
}

/** Model → the service's name for it. */
function modelsOf(key: Setting): Map<string, string> {
  const models = new Map<string, string>();
  for (const model of key.get("models").items()) {
    if (model.text === undefined || /[*]/.test(model.text))
      model.notImported("an LLMProvider lists its models: name each that callers use");
    else models.set(model.text, model.text);
  }
  const maps = [
    key.get("aliases"),
    ...["azure_key_config", "bedrock_key_config", "vertex_key_config"].map((name) => key.get(name, "deployments")),
  ];
  for (const [name, upstream] of maps.flatMap((map) => map.entries()))
    if (upstream.text !== undefined) models.set(name, upstream.imported("upstream of the model").text ?? name);
  return models;
}

function offersOfKey(key: Setting, provider: Setting, accounts: Accounts, options: ImportOptions): Offer[] {
  const base = provider.get("custom_provider_config", "base_provider_type");
  const named = serviceNamed(base.text ?? provider.name);
  base.imported("type of the LLMProvider");
  const models = modelsOf(key);
  if (named === null || models.size === 0) {
    key
      .get("name")
      .notImported(
        named === null ? "the provider is not known" : "an LLMProvider lists its models, and this key names none",
      );
    return [];
  }
  const address = addressOf(key, provider, named, options);
  const service = actualService(named, address);
  const { options: own = {}, ...access } = accessOf(key, service, options);
  const account: Account = {
    name: base.isSet ? provider.name : accountName(service, address),
    service,
    ...(service.type === "OpenAI" || service.type === "Bedrock" || service.type === "VertexAI" ? {} : address),
    options: own,
    ...access,
    settings: settingsOf(provider),
  };
  const weight = key.get("weight");
  weight.imported("weight of the targets");
  return [...models].map(([model, upstream]) => {
    const ref = accounts.use(account, { upstream });
    key.get("name").imported(`LLMProvider ${ref.provider}`);
    for (const setting of key.get("models").items())
      if (setting.text === model) setting.imported(`LLMProvider ${ref.provider}, model ${ref.model}`);
    return { provider: provider.name, model, ref, weight: weight.number ?? 1, setting: key };
  });
}

export function offersOf(providers: Setting, accounts: Accounts, options: ImportOptions): Offer[] {
  return providers.entries().flatMap(([, provider]) => {
    for (const name of ["concurrency_and_buffer_size", "send_back_raw_request", "send_back_raw_response"])
      provider.get(name).notImported("proxies hold calls by their size, and not by provider");
    return provider
      .get("keys")
      .items()
      .filter((key) => key.get("enabled").value !== false)
      .flatMap((key) => offersOfKey(key, provider, accounts, options));
  });
}
