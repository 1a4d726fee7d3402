/** Accounts at services → LLMProviders. Deployments of one account share an LLMProvider and its Secret. */
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import type { ImportedObject, ImportedSecret, Manifests, Spec } from "./manifests.ts";
import { modelNameFrom, uniqueName } from "./names.ts";
import { markSecret, type SecretValue } from "./secret-value.ts";
import type { Service } from "./services.ts";
import type { Setting } from "./setting.ts";

export interface Credential {
  /** The type's credential field, such as apiKey. */
  field: string;
  value: SecretValue;
  /** Where the configuration sets it; absent if it is only implied. */
  setting?: Setting;
}

export interface Account {
  /** Preferred name of the LLMProvider. */
  name: string;
  service: Service;
  endpoint?: string;
  allowPrivateEndpoint?: boolean;
  options?: Record<string, string>;
  credentials: Credential[];
  workloadIdentity?: Spec;
  /** Other fields of the spec, such as timeouts. */
  settings?: Spec;
}

export interface AccountModel {
  upstream: string;
  /** Other fields of the model, such as price. */
  settings?: Spec;
}

export interface ModelRef {
  provider: string;
  model: string;
}

const maxModels = 256;

interface Provider {
  object: ImportedObject;
  models: Map<string, string>;
  names: Set<string>;
}

/** Options that the type doesn't have, or doesn't accept, are left out. */
function acceptedOptions({ service, options = {} }: Account): Record<string, string> {
  const declared = capabilitiesByType[service.type]?.options ?? {};
  return Object.fromEntries(
    Object.entries(options).filter(([name, value]) => {
      const option = Object.hasOwn(declared, name) ? declared[name] : undefined;
      return option !== undefined && (option.pattern === undefined || new RegExp(option.pattern).test(value));
    }),
  );
}

export class Accounts {
  readonly #manifests: Manifests;
  readonly #providers = new Map<string, Provider[]>();
  readonly #secrets = new Map<string, ImportedSecret>();

  constructor(manifests: Manifests) {
    this.#manifests = manifests;
  }

  /** The LLMProvider and model that a policy's target names. */
  use(account: Account, model: AccountModel): ModelRef {
    const provider = this.#providerFor(account, model);
    const { models, names, object } = provider;
    const key = JSON.stringify(model);
    const existing = models.get(key);
    if (existing !== undefined) return { provider: object.name, model: existing };
    const name = uniqueName(modelNameFrom(model.upstream) ?? "model", names, { most: 128 });
    models.set(key, name);
    (object.spec["models"] as Spec[]).push({
      name,
      ...(name === model.upstream ? {} : { upstream: model.upstream }),
      ...model.settings,
    });
    return { provider: object.name, model: name };
  }

  #providerFor(account: Account, model: AccountModel): Provider {
    const secret = this.#secretFor(account);
    const spec = specOf(account, secret);
    const key = JSON.stringify(spec);
    const providers = this.#providers.get(key) ?? [];
    this.#providers.set(key, providers);
    const wanted = JSON.stringify(model);
    const room = providers.find(({ models }) => models.has(wanted) || models.size < maxModels);
    if (room !== undefined) return room;
    const object = this.#manifests.add("LLMProvider", account.name, { ...spec, models: [] });
    const provider = { object, models: new Map<string, string>(), names: new Set<string>() };
    providers.push(provider);
    return provider;
  }

  /** The Secret with these values. Accounts with the same values share it. */
  #secretFor({ name, credentials }: Account): ImportedSecret | null {
    if (credentials.length === 0) return null;
    const key = JSON.stringify(credentials.map(({ field, value }) => [field, value]));
    const secret = this.#secrets.get(key) ?? this.#manifests.secret(name);
    this.#secrets.set(key, secret);
    for (const { field, value, setting } of credentials) {
      secret.values.set(field, value);
      if (setting !== undefined) markSecret(setting, value, secret.name, field);
    }
    return secret;
  }
}

function specOf(account: Account, secret: ImportedSecret | null): Spec {
  const { service, endpoint, allowPrivateEndpoint, workloadIdentity, settings } = account;
  const options = acceptedOptions(account);
  const address = endpoint ?? service.endpoint;
  const credentials =
    secret !== null
      ? { secretRef: { name: secret.name } }
      : workloadIdentity === undefined
        ? undefined
        : { workloadIdentity };
  return {
    type: service.type,
    ...(service.preset === undefined ? {} : { preset: service.preset }),
    ...(address === undefined ? {} : { endpoint: address }),
    ...(allowPrivateEndpoint === true ? { allowPrivateEndpoint } : {}),
    ...(credentials === undefined ? {} : { credentials }),
    ...(Object.keys(options).length === 0 ? {} : { options }),
    ...settings,
  };
}
