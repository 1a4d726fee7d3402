/** Options that commands on folders of manifests share. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { compileOffline, type OfflineFolder, type OfflineSecrets } from "../operator/folder/compile-offline.ts";
import { type OperatorSettings, settingsForCommand } from "../operator/settings/settings.ts";
import type { RenderedConfig } from "../proxy/config/schema.ts";
import { UsageError } from "../proxy/usage-error.ts";

export const offlineOptions = {
  secrets: { type: "string", default: "assumed" },
  settings: { type: "string" },
} as const;

export const offlineUsage = `  --secrets MODE        assumed (default): Secrets that the folders lack are taken to exist.
                        required: the folders must provide them, as Secret, ExternalSecret or SealedSecret, or with SOPS.
                        Secrets of spec.writeTo may be missing either way: the operator makes them
  --settings FILE       the operator's settings, or the chart's rendered manifests that hold them: what the
                        installation doesn't permit is then reported too`;

/**
 * Nothing is published offline, so any pepper will do. A well-known one would allow dictionary attacks on printed
 * digests.
 */
export const offlinePepper = new Uint8Array(randomBytes(32));

/** When a pull request is checked, variables that Secrets use may be unset: their names replace their values. */
export const offlineEnvironment = new Proxy<Record<string, string | undefined>>(
  {},
  { get: (_, name) => `\${${String(name)}}` },
);

interface OfflineValues {
  secrets: string;
  settings?: string | undefined;
}

function modeOf({ secrets }: OfflineValues): OfflineSecrets {
  if (secrets === "assumed" || secrets === "required") return secrets;
  throw new UsageError(`--secrets must be assumed or required, not ${secrets}`);
}

async function settingsOf({ settings: file }: OfflineValues): Promise<OperatorSettings | null> {
  return file === undefined ? null : settingsForCommand(file, await readFile(file, "utf8"));
}

export async function readOffline(
  paths: readonly string[],
  values: OfflineValues,
  nowMs: number,
  previous: RenderedConfig | null = null,
  env: Readonly<Record<string, string | undefined>> = offlineEnvironment,
): Promise<OfflineFolder> {
  const secrets = modeOf(values);
  return compileOffline(paths, env, {
    pepper: offlinePepper,
    previous,
    nowMs,
    secrets,
    settings: await settingsOf(values),
  });
}

/** Empty if nothing is assumed to exist. */
export const assumedLine = ({ assumed }: OfflineFolder): string[] =>
  assumed.length === 0 ? [] : [`taken to exist in the cluster: ${assumed.map((ref) => `Secret ${ref}`).join(", ")}`];
