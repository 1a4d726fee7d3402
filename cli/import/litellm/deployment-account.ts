/** `litellm_params` → the account that a deployment calls: address, credentials and options of its type. */
import type { Account, Credential } from "../accounts.ts";
import { type AccountAddress, accountName, actualService, addressFrom } from "../address.ts";
import { placeholderEndpoint } from "../endpoint.ts";
import { isPlaceholder } from "../secret-value.ts";
import type { Service } from "../services.ts";
import type { Setting } from "../setting.ts";
import type { Config } from "./config.ts";
import type { DeploymentModel } from "./deployment-model.ts";

type Type = Service["type"];

/** A deployment's parameters: its own, then those of its named credential. */
export class Parameters {
  readonly own: Setting;
  readonly #config: Config;
  readonly #credential: Setting | undefined;

  constructor(own: Setting, config: Config) {
    this.own = own;
    this.#config = config;
    const wanted = own.get("litellm_credential_name");
    this.#credential = config
      .sections("credential_list")
      .flatMap((section) => section.items())
      .find((credential) => credential.get("credential_name").text === wanted.text && wanted.isSet);
    if (this.#credential === undefined) return;
    wanted.imported("its values are used");
    this.#credential.get("credential_name").imported();
  }

  get(...names: readonly string[]): Setting | undefined {
    const places = [this.own, ...(this.#credential === undefined ? [] : [this.#credential.get("credential_values")])];
    for (const place of places) for (const name of names) if (place.get(name).isSet) return place.get(name);
    return undefined;
  }

  /** A setting that isn't secret; `otherwise` if it names an unset variable. */
  plain(names: readonly string[], field: string, otherwise: string | null): string | undefined {
    const setting = this.get(...names);
    if (setting === undefined) return undefined;
    const { text, variable } = this.#config.plain(setting);
    if (text !== undefined) {
      setting.imported(field);
      return text;
    }
    setting.changed(
      `set ${field}: the variable ${variable} is not set${otherwise === null ? "" : `, and ${otherwise} stands for it`}`,
    );
    return otherwise ?? undefined;
  }

  credential(names: readonly string[], field: string): Credential[] {
    const setting = this.get(...names);
    const value = setting === undefined ? null : this.#config.secret(setting);
    return setting === undefined || value === null ? [] : [{ field, value, setting }];
  }
}

function addressOf(parameters: Parameters, config: Config, service: Service): AccountAddress {
  const setting = parameters.get("api_base", "base_url");
  return setting === undefined ? {} : addressFrom(setting, config.plain(setting), service);
}

type Access = Pick<Account, "credentials"> & Partial<Pick<Account, "workloadIdentity" | "options">>;

function azureAccess(parameters: Parameters): Access {
  const key = parameters.credential(["api_key"], "apiKey");
  if (key.length > 0) return { credentials: key };
  parameters
    .get("azure_ad_token")
    ?.notImported("a token that expires: use spec.credentials.workloadIdentity.azure or an Entra application");
  const clientSecret = parameters.credential(["client_secret", "azure_client_secret"], "clientSecret");
  const id = "00000000-0000-0000-0000-000000000000";
  const tenantId = parameters.plain(["tenant_id", "azure_tenant_id"], "spec.options.tenantId", id);
  const clientId = parameters.plain(["client_id", "azure_client_id"], "spec.options.clientId", id);
  if (clientSecret.length > 0 && tenantId !== undefined && clientId !== undefined)
    return { credentials: clientSecret, options: { tenantId, clientId } };
  if (parameters.get("azure_ad_token") !== undefined) return { credentials: [], workloadIdentity: { azure: {} } };
  return { credentials: [{ field: "apiKey", value: { env: "AZURE_API_KEY" } }] };
}

function awsAccess(parameters: Parameters): Access {
  const key = parameters.credential(["api_key"], "apiKey");
  if (key.length > 0) return { credentials: key };
  const access = parameters.credential(["aws_access_key_id"], "accessKeyId");
  const secret = parameters.credential(["aws_secret_access_key"], "secretAccessKey");
  const token = parameters.credential(["aws_session_token"], "sessionToken");
  if (access.length > 0 && secret.length > 0) return { credentials: [...access, ...secret, ...token] };
  const roleArn = parameters.plain(["aws_role_name"], "spec.credentials.workloadIdentity.aws.roleArn", null);
  parameters.get("aws_session_name")?.notImported("sessions are named by Sluice");
  const isArn = /^arn:aws[a-z-]*:iam::[0-9]{12}:role\/.+$/.test(roleArn ?? "");
  return { credentials: [], workloadIdentity: { aws: isArn ? { roleArn } : {} } };
}

function googleAccess(parameters: Parameters, config: Config): Access {
  const setting = parameters.get("vertex_credentials", "vertex_ai_credentials");
  const { text, variable } = setting === undefined ? { text: undefined, variable: null } : config.plain(setting);
  if (setting === undefined) return { credentials: [], workloadIdentity: { google: {} } };
  const field = "serviceAccountJson";
  if (setting.isMapping) return { credentials: [{ field, value: { clear: JSON.stringify(setting.value) }, setting }] };
  if (text?.startsWith("{") === true) return { credentials: [{ field, value: { clear: text }, setting }] };
  const outside =
    text === undefined
      ? `from the file or JSON in the variable ${variable}`
      : "kubectl create secret generic NAME --from-file=serviceAccountJson=FILE";
  return { credentials: [{ field, value: { outside }, setting }] };
}

function keyAccess(parameters: Parameters, service: Service, address: AccountAddress): Access {
  const setting = parameters.get("api_key");
  if (service.type === "OpenAICompatible" && setting !== undefined && isPlaceholder(setting.text ?? "")) {
    setting.imported("stands for no key");
    return { credentials: [] };
  }
  const key = parameters.credential(["api_key"], "apiKey");
  if (key.length > 0) return { credentials: key };
  // A service's key must go only to its own address.
  if (
    service.keyless === true ||
    (address.endpoint !== undefined && service.endpoint === undefined && service.type === "OpenAICompatible")
  )
    return { credentials: [] };
  return { credentials: [{ field: "apiKey", value: { env: service.variable } }] };
}

function accessOf(parameters: Parameters, config: Config, service: Service, address: AccountAddress): Access {
  if (service.type === "AzureOpenAI") return azureAccess(parameters);
  if (service.type === "Bedrock") return awsAccess(parameters);
  if (service.type === "VertexAI") return googleAccess(parameters, config);
  return keyAccess(parameters, service, address);
}

const isApiVersion = (text: string): boolean => /^[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?$/.test(text);

function azureOptions(parameters: Parameters): Record<string, string> {
  const version = parameters.get("api_version");
  const text = version?.text ?? "";
  if (version === undefined) return {};
  if (isApiVersion(text)) {
    version.imported("spec.options.apiVersion");
    return { surface: "Deployments", apiVersion: text };
  }
  version.changed("calls go to /openai/v1, which needs no version");
  return {};
}

type Options = Record<string, string>;
const set = (name: string, value: string | null | undefined): Options =>
  value === undefined || value === null ? {} : { [name]: value };

/** Options of a type, from the deployment's parameters. */
const optionsFor: Partial<Record<Type, (parameters: Parameters, region: string | null) => Options>> = {
  AzureOpenAI: azureOptions,
  OpenAI: (parameters) => set("organization", parameters.plain(["organization"], "spec.options.organization", null)),
  Bedrock: (parameters, region) => ({
    region:
      region ?? parameters.plain(["aws_region_name", "region_name"], "spec.options.region", "us-east-1") ?? "us-east-1",
  }),
  VertexAI: (parameters) => ({
    project:
      parameters.plain(["vertex_project", "vertex_ai_project"], "spec.options.project", "my-project") ?? "my-project",
    location:
      parameters.plain(["vertex_location", "vertex_ai_location"], "spec.options.location", "us-central1") ??
      "us-central1",
  }),
  Watsonx: (parameters) => {
    const space = parameters.plain(["space_id", "deployment_space_id"], "spec.options.spaceId", "SPACE-ID");
    if (space !== undefined) return { spaceId: space };
    return { projectId: parameters.plain(["project_id"], "spec.options.projectId", "PROJECT-ID") ?? "PROJECT-ID" };
  },
};

export function deploymentAccount(parameters: Parameters, config: Config, model: DeploymentModel): Account {
  const address = addressOf(parameters, config, model.service);
  const service = actualService(model.service, address);
  const { options: more, ...access } = accessOf(parameters, config, service, address);
  const options = { ...optionsFor[service.type]?.(parameters, model.region), ...more };
  const needsEndpoint =
    address.endpoint === undefined &&
    (service.type === "AzureOpenAI" ||
      service.type === "AzureAIFoundry" ||
      (service.type === "OpenAICompatible" && service.endpoint === undefined && service.keyless === true));
  const completed = needsEndpoint ? { endpoint: defaultAddress(service, parameters) } : address;
  return {
    name: accountName(service, completed),
    service,
    ...(service.type === "OpenAI" ? {} : completed),
    ...(needsEndpoint && service.preset === "Ollama" ? { allowPrivateEndpoint: true } : {}),
    options,
    ...access,
  };
}

/** The address that LiteLLM calls by default. */
function defaultAddress(service: Service, parameters: Parameters): string {
  if (service.preset === "Ollama") return "http://localhost:11434/v1";
  const variable = service.type === "AzureOpenAI" ? "AZURE_API_BASE" : `${service.preset ?? service.type}_API_BASE`;
  const endpoint = placeholderEndpoint(variable);
  parameters.own
    .get("model")
    .changed(`set spec.endpoint: the configuration has no api_base, and ${endpoint} stands for it`);
  return endpoint;
}
