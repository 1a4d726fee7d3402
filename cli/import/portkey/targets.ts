/** A target of a config → an LLMProvider and its model. */
import type { Account, Accounts, Credential, ModelRef } from "../accounts.ts";
import { accountName, actualService, addressFrom } from "../address.ts";
import { firstSet } from "../fields.ts";
import type { Spec } from "../manifests.ts";
import { isPlaceholder, secretFrom, variableOf } from "../secret-value.ts";
import { type Service, serviceNamed, serviceOfModel } from "../services.ts";
import type { Setting } from "../setting.ts";
import type { ImportOptions } from "../source.ts";

/** Members in snake_case or camelCase. */
export const eitherCase = (setting: Setting, name: string): Setting =>
  firstSet(
    setting,
    name,
    name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
  );

/** `@slug/model` → both parts. */
function modelOf(target: Setting): { setting: Setting; slug: string | undefined; model: string | undefined } {
  const setting = eitherCase(target, "override_params").get("model");
  const parts = /^@([^/]+)\/(.+)$/.exec(setting.text ?? "");
  return parts === null
    ? { setting, slug: undefined, model: setting.text }
    : { setting, slug: parts[1], model: parts[2] };
}

/** The service that a slug or virtual key is named after. */
function serviceOfSlug(slug: string): Service | null {
  const words = slug.replace(/^@/, "").split(/[-_]/);
  for (let length = words.length; length > 0; length--) {
    const service = serviceNamed(words.slice(0, length).join("-"));
    if (service !== null) return service;
  }
  return null;
}

/** A Google model without a provider belongs to the Gemini API. */
function serviceByModel(model: string | undefined): Service | null {
  const service = model === undefined ? null : serviceOfModel(model);
  return service?.type === "VertexAI" ? serviceNamed("gemini") : service;
}

function serviceFor(target: Setting, slug: string | undefined, model: string | undefined): Service | null {
  const provider = target.get("provider").text;
  const key = eitherCase(target, "virtual_key").text;
  const named = provider === undefined ? null : serviceOfSlug(provider);
  const kept = key ?? slug;
  return named ?? (kept === undefined ? null : serviceOfSlug(kept)) ?? serviceByModel(model);
}

function optionsOf(target: Setting, service: Service): Record<string, string> {
  const fields: Partial<Record<Service["type"], readonly (readonly [string, string])[]>> = {
    AzureOpenAI: [["api_version", "apiVersion"]],
    Bedrock: [["aws_region", "region"]],
    OpenAI: [
      ["openai_organization", "organization"],
      ["openai_project", "project"],
    ],
    VertexAI: [
      ["vertex_project_id", "project"],
      ["vertex_region", "location"],
    ],
  };
  const options: Record<string, string> = {};
  for (const [from, to] of fields[service.type] ?? []) {
    const setting = eitherCase(target, from);
    if (setting.text !== undefined && variableOf(setting.text) === null)
      options[to] = setting.imported(`spec.options.${to}`).text ?? "";
  }
  if (service.type === "AzureOpenAI" && options["apiVersion"] !== undefined) options["surface"] = "Deployments";
  if (service.type === "Bedrock") return { region: "us-east-1", ...options };
  if (service.type === "VertexAI") return { project: "my-project", location: "us-central1", ...options };
  if (service.type === "Watsonx") return { projectId: "PROJECT-ID", ...options };
  return options;
}

function accessOf(
  target: Setting,
  service: Service,
  slug: string | undefined,
): Pick<Account, "credentials" | "workloadIdentity"> {
  const credential = (field: string, name: string): Credential[] => {
    const setting = eitherCase(target, name);
    const value =
      isPlaceholder(setting.text ?? "") || /dummy|not-needed/i.test(setting.text ?? "") ? null : secretFrom(setting);
    if (value === null) setting.imported("stands for no key");
    return value === null ? [] : [{ field, value, setting }];
  };
  const keys = [
    ...credential("accessKeyId", "aws_access_key_id"),
    ...credential("secretAccessKey", "aws_secret_access_key"),
  ];
  if (service.type === "Bedrock")
    return keys.length === 2 ? { credentials: keys } : { credentials: [], workloadIdentity: { aws: {} } };
  const account = credential("serviceAccountJson", "vertex_service_account_json");
  if (service.type === "VertexAI")
    return account.length > 0 ? { credentials: account } : { credentials: [], workloadIdentity: { google: {} } };
  const own = credential("apiKey", "api_key");
  if (own.length > 0) return { credentials: own };
  const virtual = eitherCase(target, "virtual_key");
  if (virtual.isSet || slug !== undefined || service.keyless !== true) {
    virtual.mark("Secret", `Portkey stores the key: put it into the variable ${service.variable}`);
    return { credentials: [{ field: "apiKey", value: { env: service.variable } }] };
  }
  return { credentials: [] };
}

function addressOf(target: Setting, service: Service, { env }: ImportOptions) {
  const resource = eitherCase(target, "resource_name");
  if (service.type === "AzureOpenAI" && resource.text !== undefined) {
    resource.imported("spec.endpoint");
    return { endpoint: `https://${resource.text.replace(/[^A-Za-z0-9-]/g, "-")}.openai.azure.com` };
  }
  const host = eitherCase(target, "custom_host");
  if (!host.isSet) return service.type === "AzureOpenAI" ? { endpoint: "https://azure-resource.invalid" } : {};
  const variable = variableOf(host.text ?? "");
  return addressFrom(host, { text: variable === null ? host.text : env[variable] || undefined, variable }, service);
}

/** Returns null if it has no counterpart; the report says why. */
export function targetRef(
  target: Setting,
  accounts: Accounts,
  options: ImportOptions,
  settings: Spec,
): ModelRef | null {
  const { setting, slug, model } = modelOf(target);
  const service = serviceFor(target, slug, model);
  const deployment = eitherCase(target, "deployment_id");
  const upstream = deployment.text ?? model;
  if (service === null || upstream === undefined) {
    const why =
      service === null
        ? "provider, virtual_key and model don't identify the provider"
        : "an LLMProvider lists its models: set override_params.model";
    for (const name of ["provider", "virtual_key", "api_key"]) eitherCase(target, name).notImported(why);
    return null;
  }
  const address = addressOf(target, service, options);
  const actual = actualService(service, address);
  const ref = accounts.use(
    {
      name: accountName(actual, address),
      service: actual,
      ...(actual.type === "OpenAI" ? {} : address),
      options: optionsOf(target, actual),
      ...accessOf(target, actual, slug),
      settings,
    },
    { upstream },
  );
  for (const part of [setting, deployment]) part.imported(`LLMProvider ${ref.provider}, model ${ref.model}`);
  target.get("provider").imported("type of the LLMProvider");
  target.get("name").imported("not needed");
  return ref;
}
