/** An LLMProvider's address, credentials and headers, from its config and the clear values of its secrets. */
import type { AddedValue, ProviderConfig, UpstreamTlsConfig } from "../config/provider.ts";
import type { UpstreamAddress, UpstreamTls } from "../wire/upstream-address.ts";
import type { ProviderAccount } from "./provider.ts";

/** `secrets`: clear values by their names in the config. */
export function tlsOf(tls: UpstreamTlsConfig, secrets: ReadonlyMap<string, string>): UpstreamTls {
  const { ca, serverName, clientCertificate: pair } = tls;
  const clear = (name: string): string => secrets.get(name) ?? "";
  const client =
    pair === null
      ? null
      : { id: `${pair.certificate}+${pair.key}`, cert: clear(pair.certificate), key: clear(pair.key) };
  return { ca, serverName, client };
}

/** As a member of the account; nothing if there are no additions. */
export function additionsOf(
  { headers = {}, query = {} }: Pick<ProviderConfig, "headers" | "query">,
  secrets: ReadonlyMap<string, string>,
): Pick<ProviderAccount, "additions"> {
  const clear = (value: AddedValue): string => ("secret" in value ? (secrets.get(value.secret) ?? "") : value.value);
  const added = [...Object.values(headers), ...Object.values(query)];
  if (added.length === 0) return {};
  const parameters = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(clear(value))}`);
  return {
    additions: {
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, clear(value)])),
      query: parameters.join("&"),
      secrets: added.filter((value) => "secret" in value).map(clear),
    },
  };
}

/** All secrets of an account. */
export const accountSecrets = ({
  credentials,
  additions,
}: Pick<ProviderAccount, "credentials" | "additions">): string[] => [
  ...Object.values(credentials),
  ...(additions?.secrets ?? []),
];

export function hasSecrets({ credentials, additions }: Pick<ProviderAccount, "credentials" | "additions">): boolean {
  for (const _ in credentials) return true;
  return (additions?.secrets.length ?? 0) > 0;
}

/** The address of an account's calls, and the connection's rules and limits. */
export function upstreamAddress(
  { origin, config }: ProviderAccount,
  secrets: ReadonlyMap<string, string>,
): UpstreamAddress {
  const { allowPrivateEndpoint: allowPrivate, timeouts } = config;
  const tls = config.tls === null ? null : tlsOf(config.tls, secrets);
  return { origin, allowPrivate, connectMs: timeouts.connectMs, writeMs: timeouts.writeMs, ...(tls ? { tls } : {}) };
}
