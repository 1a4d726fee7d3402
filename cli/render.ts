/** `sluice render FOLDER…`: the documents that would be published, as ConfigMaps. Credentials are names only. */
import { parseArgs } from "node:util";
import { stringify } from "yaml";
import { formatFinding } from "../operator/folder/compile-folder.ts";
import { configMapsOf } from "../operator/publish/layout.ts";
import { encode, sha256Hex } from "../proxy/config/encode.ts";
import { credentialName } from "../proxy/config/names.ts";
import type { ProviderConfig, UpstreamTlsConfig } from "../proxy/config/provider.ts";
import type { RenderedConfig } from "../proxy/config/schema.ts";
import { offlineOptions, offlineUsage, readOffline } from "./offline-options.ts";

export const renderUsage = `sluice render FOLDER…: print the ConfigMaps that would be published for the manifests

In place of digests of secrets it prints digests of their objects' names; everything else is as in a cluster. It prints
no secret, and nothing from which one could be guessed.

${offlineUsage}`;

const standIn = (...place: string[]): string => sha256Hex(JSON.stringify(place));
const credential = (...place: string[]): string => credentialName(standIn(...place));

function withoutPair(tls: UpstreamTlsConfig | null, ...place: string[]): UpstreamTlsConfig | null {
  if (tls?.clientCertificate == null) return tls;
  return {
    ...tls,
    clientCertificate: { certificate: credential(...place, "tls.crt"), key: credential(...place, "tls.key") },
  };
}

function withoutSecrets<F extends "headers" | "query">(field: F, provider: ProviderConfig): Pick<ProviderConfig, F> {
  const values = provider[field];
  if (values === undefined) return {} as Pick<ProviderConfig, F>;
  const shown = Object.entries(values).map(([name, value]) => [
    name,
    "secret" in value ? { secret: credential(provider.id, field, name) } : value,
  ]);
  return { [field]: Object.fromEntries(shown) } as Pick<ProviderConfig, F>;
}

/**
 * Even a keyed digest shows whether two secrets are equal, and if the key is known, a dictionary attack finds weak
 * ones.
 */
function withoutDigests(config: RenderedConfig): RenderedConfig {
  const keys = config.keys.map((key) => ({
    ...key,
    digest: standIn("key", key.id),
    ...(key.previous ? { previous: { ...key.previous, digest: standIn("previous", key.id) } } : {}),
  }));
  const providers = config.providers.map((provider) => ({
    ...provider,
    credentials: Object.fromEntries(
      Object.keys(provider.credentials).map((field) => [field, credential(provider.id, field)]),
    ),
    ...withoutSecrets("headers", provider),
    ...withoutSecrets("query", provider),
    tls: withoutPair(provider.tls, provider.id, "tls"),
    ...(provider.tokenTls
      ? { tokenTls: withoutPair(provider.tokenTls, provider.id, "tokenTls") as UpstreamTlsConfig }
      : {}),
  }));
  return { ...config, providers, keys: keys.sort((a, b) => (a.digest < b.digest ? -1 : 1)) };
}

export async function runRender(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ...offlineOptions, help: { type: "boolean" } },
  });
  if (values.help === true || positionals.length === 0) {
    process.stdout.write(`${renderUsage}\n`);
    process.exitCode = values.help === true ? 0 : 2;
    return;
  }
  const { compiled, findings } = await readOffline(positionals, values, Date.now());
  for (const finding of findings) process.stderr.write(`${formatFinding(finding)}\n`);
  const published = encode(withoutDigests(compiled.config), sha256Hex(""));
  const maps = [...configMapsOf("sluice", published)].map(([name, data]) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name },
    data,
  }));
  process.stdout.write(maps.map((map) => stringify(map, { lineWidth: 0 })).join("---\n"));
  if (findings.some((finding) => finding.severity === "error")) process.exitCode = 1;
}
