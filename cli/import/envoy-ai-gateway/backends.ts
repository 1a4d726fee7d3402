/** An AIServiceBackend with its Backend and BackendSecurityPolicy → the account of an LLMProvider. */
import type { Account, Credential } from "../accounts.ts";
import { actualService, addressFrom } from "../address.ts";
import { placeholderEndpoint } from "../endpoint.ts";
import { type SecretValue, secretFrom } from "../secret-value.ts";
import { type Service, serviceOf } from "../services.ts";
import type { Setting } from "../setting.ts";
import type { Resources } from "./resources.ts";

const bySchema: Readonly<Record<string, string>> = {
  OpenAI: "openai",
  AzureOpenAI: "azureopenai",
  AWSBedrock: "bedrock",
  AWSAnthropic: "bedrock",
  Anthropic: "anthropic",
  GCPVertexAI: "vertexai",
  GCPAnthropic: "vertexai",
  Cohere: "cohere",
};

interface Place {
  /** The setting under which the report describes it. */
  setting: Setting;
  host: string;
  port: number;
}

/** The first endpoint of the Backend, or a Service of the cluster. */
function placeOf(ref: Setting, resources: Resources): Place {
  const name = ref.get("name");
  const [endpoint, ...others] = resources.find("Backend", name.text)?.get("spec", "endpoints").items() ?? [];
  for (const other of others) other.notImported("an LLMProvider has one endpoint: the first");
  if (endpoint === undefined) {
    const namespace = ref.get("namespace").text;
    const host = namespace === undefined ? (name.text ?? "") : `${name.text}.${namespace}.svc`;
    return { setting: name, host, port: ref.get("port").number ?? 80 };
  }
  const ip = endpoint.get("ip");
  const place = ip.isSet ? ip.get("address") : endpoint.get("fqdn", "hostname");
  const port = (ip.isSet ? ip.get("port") : endpoint.get("fqdn", "port")).number ?? 443;
  return { setting: place, host: place.text ?? "", port };
}

function addressOf(
  backend: Setting,
  service: Service,
  resources: Resources,
): Pick<Account, "endpoint" | "allowPrivateEndpoint"> {
  const ref = backend.get("spec", "backendRef");
  const { setting, host, port } = placeOf(ref, resources);
  const [prefix, version] = [backend.get("spec", "schema", "prefix"), backend.get("spec", "schema", "version")];
  const path = service.type === "OpenAI" ? (prefix.text ?? `/${(version.text ?? "v1").replace(/^\//, "")}`) : "";
  const origin = `${port === 443 ? "https" : "http"}://${host}${port === 80 || port === 443 ? "" : `:${port}`}`;
  const text = host === "" ? undefined : `${origin}${path}`;
  const address = addressFrom(setting, { text, variable: text === undefined ? "endpoint" : null }, service);
  for (const setting of [ref, prefix, version]) setting.imported("spec.endpoint, or options of the type");
  resources.find("Backend", ref.get("name").text)?.get("spec", "endpoints").imported("spec.endpoint");
  return address.endpoint === undefined ? { endpoint: placeholderEndpoint("endpoint") } : address;
}

/** A key of a Secret: its value if the import includes the Secret; otherwise the user labels the existing one. */
function secretValue(ref: Setting, key: string, resources: Resources): Credential["value"] {
  const secret = resources.find("Secret", ref.get("name").text);
  const clear = secret?.get("stringData", key);
  if (clear?.isSet === true) {
    clear.mark("Secret", "moved to the Secret of the LLMProvider");
    return secretFrom(clear) ?? { outside: "the value is empty" };
  }
  const encoded = secret?.get("data", key);
  if (encoded?.text === undefined) {
    const outside = `from the key ${key} of Secret ${ref.get("name").text}, which the gateway uses now`;
    return { outside };
  }
  encoded.mark("Secret", "moved to the Secret of the LLMProvider");
  return { clear: Buffer.from(encoded.text, "base64").toString("utf8").trim() };
}

/** `[default] aws_access_key_id = …` of a credentials file. */
function awsCredentials(value: SecretValue, setting: Setting): Credential[] {
  const file = "clear" in value ? value.clear : "";
  const find = (name: string): string | undefined => new RegExp(`^\\s*${name}\\s*=\\s*(\\S+)`, "m").exec(file)?.[1];
  const fields = { accessKeyId: find("aws_access_key_id"), secretAccessKey: find("aws_secret_access_key") };
  return Object.entries(fields).map(([field, clear]) => ({
    field,
    value: clear === undefined ? { outside: "from the credentials file of the gateway's Secret" } : { clear },
    setting,
  }));
}

type Access = Pick<Account, "credentials" | "workloadIdentity" | "options">;

function azureAccess(azure: Setting, resources: Resources): Access {
  const ref = azure.get("clientSecretRef");
  const [clientId, tenantId] = [azure.get("clientID").text, azure.get("tenantID").text];
  azure.get("clientID").imported("spec.options.clientId");
  azure.get("tenantID").imported("spec.options.tenantId");
  if (!ref.isSet || clientId === undefined || tenantId === undefined)
    return { credentials: [], workloadIdentity: { azure: {} } };
  return {
    credentials: [{ field: "clientSecret", value: secretValue(ref, "client-secret", resources), setting: ref }],
    options: { clientId, tenantId },
  };
}

function awsAccess(aws: Setting, resources: Resources): Access {
  const region = aws.get("region");
  const options = region.text === undefined ? {} : { region: region.imported("spec.options.region").text ?? "" };
  const ref = aws.get("credentialsFile", "secretRef");
  if (ref.isSet) return { credentials: awsCredentials(secretValue(ref, "credentials", resources), ref), options };
  const role = aws.get("oidcExchangeToken", "awsRoleArn");
  const isRole = /^arn:aws[a-z-]*:iam::[0-9]{12}:role\/.+$/.test(role.text ?? "");
  aws
    .get("oidcExchangeToken")
    .changed("spec.credentials.workloadIdentity.aws: the proxies' ServiceAccount takes the place of the OIDC client");
  return { credentials: [], workloadIdentity: { aws: isRole ? { roleArn: role.text } : {} }, options };
}

function googleAccess(google: Setting, resources: Resources): Access {
  const [project, location] = [google.get("projectName"), google.get("region")];
  const options = { project: project.text ?? "my-project", location: location.text ?? "us-central1" };
  project.imported("spec.options.project");
  location.imported("spec.options.location");
  const ref = google.get("credentialsFile", "secretRef");
  if (!ref.isSet) return { credentials: [], workloadIdentity: { google: {} }, options };
  return {
    credentials: [
      { field: "serviceAccountJson", value: secretValue(ref, "service_account.json", resources), setting: ref },
    ],
    options,
  };
}

function accessOf(policy: Setting | undefined, service: Service, resources: Resources): Access {
  if (policy === undefined) return { credentials: [] };
  const spec = policy.get("spec");
  for (const name of ["type", "targetRefs"]) spec.get(name).imported("credentials of the LLMProvider");
  if (service.type === "Bedrock") return awsAccess(spec.get("awsCredentials"), resources);
  if (service.type === "VertexAI") return googleAccess(spec.get("gcpCredentials"), resources);
  if (spec.get("azureCredentials").isSet) return azureAccess(spec.get("azureCredentials"), resources);
  const ref = ["apiKey", "anthropicAPIKey", "azureAPIKey"]
    .map((name) => spec.get(name, "secretRef"))
    .find((setting) => setting.isSet);
  if (ref === undefined) return { credentials: [] };
  return { credentials: [{ field: "apiKey", value: secretValue(ref, "apiKey", resources), setting: ref }] };
}

/** Returns null if its schema has no counterpart. */
export function backendAccount(backend: Setting, resources: Resources): Account | null {
  const schema = backend.get("spec", "schema", "name");
  const type = Object.hasOwn(bySchema, schema.text ?? "") ? bySchema[schema.text ?? ""] : undefined;
  if (type === undefined) {
    backend.get("spec").notImported("the schema is not known");
    return null;
  }
  schema.imported("type of the LLMProvider");
  const named = serviceOf(type);
  const version = backend.get("spec", "schema", "version").text;
  const address = addressOf(backend, named, resources);
  const service = actualService(named, address);
  const { options, ...access } = withDefaults(resources.securityOf(backend), service, resources);
  const isDated = service.type === "AzureOpenAI" && /^[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?$/.test(version ?? "");
  return {
    name: backend.get("metadata", "name").text ?? "backend",
    service,
    ...(service.type === "OpenAI" || service.type === "Bedrock" || service.type === "VertexAI" ? {} : address),
    options: { ...options, ...(isDated ? { surface: "Deployments", apiVersion: version ?? "" } : {}) },
    ...access,
  };
}

/** A type that needs a key gets its usual variable; a cloud gets its workload identity. */
function withDefaults(policy: Setting | undefined, service: Service, resources: Resources): Access {
  if (service.type === "Bedrock") {
    const access =
      policy === undefined ? { credentials: [], workloadIdentity: { aws: {} } } : accessOf(policy, service, resources);
    return { ...access, options: { region: "us-east-1", ...access.options } };
  }
  if (service.type === "VertexAI" && policy === undefined)
    return {
      credentials: [],
      workloadIdentity: { google: {} },
      options: { project: "my-project", location: "us-central1" },
    };
  const access = accessOf(policy, service, resources);
  if (access.credentials.length > 0 || access.workloadIdentity !== undefined || service.keyless === true) return access;
  return { ...access, credentials: [{ field: "apiKey", value: { env: service.variable } }] };
}
