/** A provider of agentgateway, in its three forms → the account of an LLMProvider. */
import type { Account, Accounts, Credential, ModelRef } from "../accounts.ts";
import { actualService, addressFrom } from "../address.ts";
import { placeholderEndpoint } from "../endpoint.ts";
import type { Spec } from "../manifests.ts";
import { isPlaceholder, secretFrom, variableOf } from "../secret-value.ts";
import { type Service, serviceNamed } from "../services.ts";
import type { Setting } from "../setting.ts";
import type { ImportOptions } from "../source.ts";

/** The information common to all forms of a provider. */
export interface ProviderForm {
  /** Preferred name of the LLMProvider. */
  name: string;
  kind: string;
  /** Where the configuration sets the kind. */
  setting: Setting;
  /** Settings under their own names, such as region and projectId. */
  fields: Setting;
  base: { setting: Setting; text: string | undefined; variable: string | null } | null;
  credentials: Credential[];
  workloadIdentity?: Spec;
  settings?: Spec;
}

/** Options of types, under the names that the forms have for them. */
const optionNames: readonly (readonly [string, readonly string[]])[] = [
  ["region", ["region", "awsRegion"]],
  ["location", ["region", "vertexRegion"]],
  ["project", ["projectId", "vertexProject"]],
  ["apiVersion", ["apiVersion", "azureApiVersion"]],
];

function optionsOf(fields: Setting, service: Service): Record<string, string> {
  const options: Record<string, string> = {};
  for (const [option, names] of optionNames) {
    const isOwn =
      option === "region" ? service.type === "Bedrock" : option === "apiVersion" || service.type === "VertexAI";
    const setting = names
      .map((name) => fields.get(name))
      .find((setting) => setting.text !== undefined && setting.text !== "");
    if (!isOwn || setting?.text === undefined) continue;
    if (variableOf(setting.text) !== null) {
      setting.changed(`set spec.options.${option}: it is a variable here`);
      continue;
    }
    options[option] = setting.text;
    setting.imported(`spec.options.${option}`);
  }
  const dated = /^[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?$/.test(options["apiVersion"] ?? "");
  if (service.type === "AzureOpenAI" && dated) return { ...options, surface: "Deployments" };
  if (service.type === "Bedrock") return { region: "us-east-1", ...options };
  if (service.type === "VertexAI") return { project: "my-project", location: "us-central1", ...options };
  return options;
}

const clouds: Partial<Record<Service["type"], string>> = { Bedrock: "aws", VertexAI: "google" };

function accessOf(
  { credentials, workloadIdentity }: ProviderForm,
  service: Service,
): Pick<Account, "credentials" | "workloadIdentity"> {
  if (credentials.length > 0) return { credentials };
  const cloud = clouds[service.type];
  const identity = workloadIdentity ?? (cloud === undefined ? undefined : { [cloud]: {} });
  if (identity !== undefined) return { credentials, workloadIdentity: identity };
  return service.keyless === true
    ? { credentials }
    : { credentials: [{ field: "apiKey", value: { env: service.variable } }] };
}

const needsEndpoint = ({ type, preset, endpoint }: Service): boolean =>
  type === "AzureOpenAI" || (type === "OpenAICompatible" && preset === undefined && endpoint === undefined);

/** Returns null if no type matches it. */
function accountOf(form: ProviderForm): Account | null {
  const named = serviceNamed(form.kind === "custom" ? "compatible" : form.kind);
  if (named === null) {
    form.setting.notImported(`no type of LLMProvider is known for ${form.kind}`);
    return null;
  }
  form.setting.imported("type of the LLMProvider");
  const isCloud = clouds[named.type] !== undefined;
  if (isCloud) form.base?.setting.notImported("the type knows its address by the region");
  const address = form.base === null || isCloud ? {} : addressFrom(form.base.setting, form.base, named);
  const service = actualService(named, address);
  const isMissing = needsEndpoint(service) && !("endpoint" in address);
  if (isMissing) form.setting.remark("Changed", `set spec.endpoint of the LLMProvider ${form.name}`);
  return {
    name: form.name,
    service,
    ...address,
    ...(isMissing ? { endpoint: placeholderEndpoint(form.name) } : {}),
    options: optionsOf(form.fields, service),
    ...accessOf(form, service),
    ...(form.settings === undefined ? {} : { settings: form.settings }),
  };
}

/** The LLMProvider and model of an upstream model. */
export function useModel(form: ProviderForm, upstream: string, accounts: Accounts): ModelRef | null {
  const account = accountOf(form);
  return account === null ? null : accounts.use(account, { upstream });
}

/** A text, or the value of the variable that it names. */
const plainText = (setting: Setting, { env }: ImportOptions) => {
  const variable = variableOf(setting.text ?? "");
  return { setting, text: variable === null ? setting.text : env[variable] || undefined, variable };
};

/** `baseUrl`, or separate settings for host, port and path. */
export function baseOf(
  fields: Setting,
  { url, host, port, path, kind }: { url?: string; host: string; port?: string; path: string; kind: string },
  options: ImportOptions,
): ProviderForm["base"] {
  const whole = url === undefined ? undefined : fields.get(url);
  if (whole?.text !== undefined) return plainText(whole, options);
  const [place, prefix] = [fields.get(host), fields.get(path)];
  if (place.text === undefined) return null;
  const number = (port === undefined ? undefined : fields.get(port).text) ?? /:(\d+)$/.exec(place.text)?.[1] ?? "443";
  const name = place.text.replace(/^https?:\/\//, "").replace(/:\d+$/, "");
  const origin = `${number === "443" ? "https" : "http"}://${name}${/^(443|80)$/.test(number) ? "" : `:${number}`}`;
  for (const setting of [prefix, ...(port === undefined ? [] : [fields.get(port)])]) setting.imported("spec.endpoint");
  return { setting: place, text: `${origin}${prefix.text ?? (/^openai$/i.test(kind) ? "/v1" : "")}`, variable: null };
}

/** A key in the configuration, in a file, or missing. */
export function keyCredential(setting: Setting): Credential[] {
  if (!setting.isSet) return [];
  const file = setting.get("file");
  if (file.text !== undefined) return [{ field: "apiKey", value: { outside: `from the file ${file.text}` }, setting }];
  const inner = setting.isMapping ? setting.get("value") : setting;
  const value = secretFrom(inner);
  if (value !== null && "clear" in value && isPlaceholder(value.clear)) {
    inner.imported("no key is needed");
    return [];
  }
  return value === null ? [] : [{ field: "apiKey", value: withoutBearer(value), setting: inner }];
}

const withoutBearer = (value: Credential["value"]): Credential["value"] =>
  "clear" in value ? { clear: value.clear.replace(/^Bearer /i, "") } : value;

const roleForm = /^arn:aws[a-z-]*:iam::[0-9]{12}:role\/.+$/;

/** `backendAuth` of the standalone form, and `auth` of the resources. */
export function workloadIdentityOf(auth: Setting): Pick<ProviderForm, "workloadIdentity"> {
  for (const [name, cloud] of [
    ["aws", "aws"],
    ["gcp", "google"],
    ["azure", "azure"],
  ] as const) {
    const setting = auth.get(name);
    if (setting.value === undefined) continue;
    const role = setting.get("assumeRole", "roleArn");
    if (role.isSet)
      role.mark(roleForm.test(role.text ?? "") ? "Imported" : "NotImported", "credentials.workloadIdentity");
    setting.changed(`credentials.workloadIdentity.${cloud}: that of the proxies' ServiceAccount`);
    return { workloadIdentity: { [cloud]: roleForm.test(role.text ?? "") ? { roleArn: role.text } : {} } };
  }
  auth.get("passthrough").notImported("callers have keys of the gateway; the provider's key is in a Secret");
  return {};
}
