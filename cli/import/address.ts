/** The address of an account, in the form that its type expects, and the account's name. */
import { endpointFrom, placeholderEndpoint } from "./endpoint.ts";
import { objectNameFrom } from "./names.ts";
import { type Service, serviceOf } from "./services.ts";
import type { Setting } from "./setting.ts";

type Type = Service["type"];

export interface AccountAddress {
  endpoint?: string;
  allowPrivateEndpoint?: boolean;
}

const isOpenAI = (endpoint: string): boolean => /^https:\/\/api\.openai\.com(\/v1)?$/.test(endpoint);

const withoutCall = (endpoint: string): string =>
  endpoint.replace(/\/(chat\/completions|completions|embeddings|responses)$/, "");

/** The path that each type expects. */
const pathFor: Partial<Record<Type, (endpoint: string) => string>> = {
  AzureOpenAI: (endpoint) => endpoint.replace(/\/openai(\/.*)?$/, ""),
  AzureAIFoundry: (endpoint) => endpoint.replace(/\/(models|openai|anthropic|providers|v1|chat)(\/.*)?$/, ""),
  Anthropic: (endpoint) => endpoint.replace(/\/v1(\/messages)?$/, ""),
  Watsonx: (endpoint) => endpoint.replace(/\/ml(\/.*)?$/, ""),
  OpenAI: withoutCall,
  OpenAICompatible: withoutCall,
};

const appendsV1: ReadonlySet<string> = new Set(["Ollama", "LlamaCpp", "TGI"]);

/** `text`: the setting's value. `variable`: the unset variable that it names instead. Marks the setting. */
export function addressFrom(
  setting: Setting,
  { text, variable }: { text: string | undefined; variable: string | null },
  service: Service,
): AccountAddress {
  if (text === undefined) {
    const endpoint = placeholderEndpoint(variable ?? "endpoint");
    setting.changed(`set spec.endpoint: the variable ${variable} is not set, and ${endpoint} stands for it`);
    return { endpoint };
  }
  const address = endpointFrom(text);
  if (address === null) {
    const endpoint = placeholderEndpoint("endpoint");
    setting.changed(`set spec.endpoint: Sluice doesn't accept this URL, and ${endpoint} stands for it`);
    return { endpoint };
  }
  let endpoint = pathFor[service.type]?.(address.endpoint) ?? address.endpoint;
  if (appendsV1.has(service.preset ?? "") && URL.parse(endpoint)?.pathname === "/") endpoint += "/v1";
  setting.mark(
    address.note === "" ? "Imported" : "Changed",
    ["spec.endpoint", address.note].filter(Boolean).join("; "),
  );
  return { endpoint, ...(address.isPrivate ? { allowPrivateEndpoint: true } : {}) };
}

/** `azure-contoso` for contoso.openai.azure.com, otherwise the type's or preset's name. */
export function accountName(service: Service, { endpoint }: AccountAddress): string {
  const base = service.preset ?? (service.type === "OpenAICompatible" ? "" : service.type);
  const host = URL.parse(endpoint ?? service.endpoint ?? "")?.hostname ?? "";
  const label = host.replace(/^(api|www|inference)\./, "").split(".")[0] ?? "";
  const isNumber = /^[0-9[]/.test(host);
  if (service.type === "AzureOpenAI" || service.type === "AzureAIFoundry") return objectNameFrom(`azure-${label}`);
  if (base !== "") return objectNameFrom(base);
  return objectNameFrom(isNumber || label === "" ? "compatible" : label);
}

/** A server at any address but OpenAI's own is a compatible one. */
export function actualService(service: Service, { endpoint }: AccountAddress): Service {
  if (service.type === "OpenAI" && endpoint !== undefined && !isOpenAI(endpoint)) return serviceOf("compatible");
  return service;
}
