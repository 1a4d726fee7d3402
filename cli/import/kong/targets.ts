/** `model` and `auth` of ai-proxy → an LLMProvider and its model. */
import type { Account, Accounts, Credential, ModelRef } from "../accounts.ts";
import { accountName, actualService, addressFrom } from "../address.ts";
import { countField, firstSet, moneyField, section } from "../fields.ts";
import type { Spec } from "../manifests.ts";
import { isPlaceholder, type SecretValue, variableOf } from "../secret-value.ts";
import { type Service, serviceNamed, serviceOf } from "../services.ts";
import type { Setting } from "../setting.ts";
import type { ImportOptions } from "../source.ts";

/** `Bearer X` → X, even if X is a reference. */
function tokenOf(setting: Setting): SecretValue | null {
  const { text } = setting;
  if (text === undefined || text === "") return null;
  const bare = text.replace(/^Bearer\s+/i, "").trim();
  const env = variableOf(bare);
  if (env !== null) return { env: env.replace(/^DECK_/, "") };
  if (/^\{vault:\/\//.test(bare)) return { outside: "with the value that the vault's reference names" };
  if (!isPlaceholder(bare)) return { clear: bare };
  setting.imported("stands for no key");
  return null;
}

function serviceFor(model: Setting): Service | null {
  const provider = model.get("provider").text ?? "";
  if (provider === "llama2") {
    const format = model.get("options", "llama2_format");
    format.imported("type of the LLMProvider");
    return serviceOf(format.text === "ollama" ? "ollama" : "compatible");
  }
  const isVertex =
    provider === "gemini" && firstSet(model, "options.gemini.project_id", "options.gemini.api_endpoint").isSet;
  return isVertex ? serviceOf("vertexai") : serviceNamed(provider === "kimi" ? "moonshot" : provider);
}

function optionsOf(model: Setting, service: Service): Record<string, string> {
  const options = model.get("options");
  const fields: Partial<Record<Service["type"], readonly (readonly [string, string])[]>> = {
    Anthropic: [["anthropic_version", "version"]],
    Bedrock: [["bedrock.aws_region", "region"]],
    VertexAI: [
      ["gemini.project_id", "project"],
      ["gemini.location_id", "location"],
    ],
  };
  const values: Record<string, string> = {};
  for (const [from, to] of fields[service.type] ?? []) {
    const setting = firstSet(options, from);
    if (setting.text === undefined) continue;
    if (variableOf(setting.text) === null) values[to] = setting.imported(`spec.options.${to}`).text ?? "";
    else setting.changed(`set spec.options.${to}, which a variable holds`);
  }
  if (service.type === "Bedrock") return { region: "us-east-1", ...values };
  options.get("gemini", "api_endpoint").imported("follows from the location");
  if (service.type === "VertexAI") return { project: "my-project", location: "us-central1", ...values };
  return values;
}

function accessOf(auth: Setting, service: Service): Pick<Account, "credentials" | "workloadIdentity"> {
  const credential = (field: string, ...names: string[]): Credential[] => {
    const setting = firstSet(auth, ...names);
    const value = tokenOf(setting);
    return value === null ? [] : [{ field, value, setting }];
  };
  for (const name of ["header_name", "param_name", "param_location"]) auth.get(name).imported("as the type needs it");
  const override = auth.get("allow_override");
  if (override.isTrue) override.notImported("callers can't bring a provider's key");
  else override.imported("callers can't bring a provider's key");
  if (service.type === "Bedrock") {
    const keys = [
      ...credential("accessKeyId", "aws_access_key_id"),
      ...credential("secretAccessKey", "aws_secret_access_key"),
    ];
    return keys.length === 2 ? { credentials: keys } : { credentials: [], workloadIdentity: { aws: {} } };
  }
  if (service.type === "VertexAI") {
    auth.get("gcp_use_service_account").imported("credentials");
    const keys = credential("serviceAccountJson", "gcp_service_account_json");
    return keys.length > 0 ? { credentials: keys } : { credentials: [], workloadIdentity: { google: {} } };
  }
  const managed = auth.get("azure_use_managed_identity");
  managed.imported("credentials");
  if (managed.isTrue) return { credentials: [], workloadIdentity: { azure: {} } };
  return { credentials: credential("apiKey", "header_value", "param_value") };
}

function azureAddress(
  model: Setting,
): { endpoint: string; options: Record<string, string>; deployment: string | undefined } | null {
  const options = model.get("options");
  const instance = firstSet(options, "azure_instance", "azure.instance");
  if (instance.text === undefined) return null;
  const version = firstSet(options, "azure_api_version", "azure.api_version");
  const deployment = firstSet(options, "azure_deployment_id", "azure.deployment_id");
  for (const setting of [instance, version, deployment])
    setting.imported("endpoint, options and upstream of the LLMProvider");
  const isDated = /^[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?$/.test(version.text ?? "");
  return {
    endpoint: `https://${variableOf(instance.text) === null ? instance.text : "azure-instance"}.openai.azure.com`,
    options: isDated ? { surface: "Deployments", apiVersion: version.text ?? "" } : {},
    deployment: deployment.text,
  };
}

function priceOf(options: Setting): Spec {
  const price = {
    ...moneyAs(options.get("input_cost"), "inputPerMillion"),
    ...moneyAs(options.get("output_cost"), "outputPerMillion"),
  };
  return Object.keys(price).length === 2 ? { price } : {};
}

const moneyAs = (setting: Setting, field: string): Spec => moneyField(setting, `price.${field}`);

function addressOf(model: Setting, service: Service, { env }: ImportOptions) {
  const url = model.get("options", "upstream_url");
  if (!url.isSet) return {};
  const variable = variableOf(url.text ?? "");
  const text = variable === null ? url.text : (env[variable] ?? env[variable.replace(/^DECK_/, "")]);
  // Kong's URL has the whole path of the call.
  return addressFrom(
    url,
    { text: text?.replace(/\/api\/(chat|embed|generate)$/, "/v1") || undefined, variable },
    service,
  );
}

export const callParameters = ["max_tokens", "temperature", "top_p", "top_k"] as const;

/** Parameters that Kong sets if the caller doesn't. */
export function defaultsOf(model: Setting): Spec {
  const options = model.get("options");
  const defaults: Spec = {};
  for (const name of callParameters) {
    const setting = options.get(name);
    if (setting.number === undefined) continue;
    defaults[name] = setting.number;
    setting.imported(`request.defaults.${name}`);
  }
  return defaults;
}

/** Route types without chats. A target for them must not become a fallback of chats. */
const otherKinds = /image|audio|video|realtime|batch|file|rerank/;

/** `entry`: an entry of `targets`, or the plug-in's own configuration. Returns null if it has no counterpart. */
export function targetRef(entry: Setting, accounts: Accounts, options: ImportOptions, shared: Spec): ModelRef | null {
  const model = entry.get("model");
  const service = serviceFor(model);
  const kind = entry.get("route_type");
  if (service === null || otherKinds.test(kind.text ?? "")) {
    entry.notImported(
      service === null
        ? "the provider is not known"
        : `calls of ${kind.text} need a policy of their own, if Sluice serves them`,
    );
    return null;
  }
  kind.imported("every operation of the policy's path is served");
  const azure = service.type === "AzureOpenAI" ? azureAddress(model) : null;
  const address = azure ?? addressOf(model, service, options);
  const actual = actualService(service, address);
  const place = {
    ...(address.endpoint === undefined ? {} : { endpoint: address.endpoint }),
    ...("allowPrivateEndpoint" in address ? { allowPrivateEndpoint: true } : {}),
  };
  const account: Account = {
    name: accountName(actual, address),
    service: actual,
    ...(actual.type === "OpenAI" ? {} : place),
    options: { ...optionsOf(model, actual), ...azure?.options },
    ...withKey(accessOf(entry.get("auth"), actual), actual),
    settings: shared,
  };
  const name = model.get("name");
  const upstream = azure?.deployment ?? name.text;
  if (upstream === undefined) {
    entry.notImported("an LLMProvider lists its models: set model.name");
    return null;
  }
  const quota = section(
    "quota",
    countField(model.get("options", "tokens_per_minute"), "quota.tokensPerMinute", 1_000_000_000_000),
  );
  const ref = accounts.use(account, { upstream, settings: { ...priceOf(model.get("options")), ...quota } });
  name.imported(`LLMProvider ${ref.provider}, model ${ref.model}`);
  model.get("provider").imported("type of the LLMProvider");
  return ref;
}

/** A type that needs a key gets its usual variable. */
function withKey(access: Pick<Account, "credentials" | "workloadIdentity">, service: Service): typeof access {
  if (access.credentials.length > 0 || access.workloadIdentity !== undefined || service.keyless === true) return access;
  return { credentials: [{ field: "apiKey", value: { env: service.variable } }] };
}
