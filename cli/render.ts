/** `sluice render FOLDER…`: the documents that would be published, as ConfigMaps. Credentials are names only. */
import { parseArgs } from "node:util";
import { stringify } from "yaml";
import { compileFolder, formatFinding } from "../operator/folder/compile-folder.ts";
import { configMapsOf } from "../operator/publish/layout.ts";
import { encode, sha256Hex } from "../proxy/config/encode.ts";
import { offlineEnvironment, offlinePepper } from "./lint.ts";

export const renderUsage = `sluice render FOLDER…: print the ConfigMaps that would be published for the manifests

Digests are made with a fixed key, so they differ from a cluster's; everything else is the same. No secret is printed.`;

export async function runRender(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { help: { type: "boolean" } },
  });
  if (values.help === true || positionals.length === 0) {
    process.stdout.write(`${renderUsage}\n`);
    process.exitCode = values.help === true ? 0 : 2;
    return;
  }
  const { compiled, findings } = await compileFolder(positionals, offlineEnvironment, offlinePepper, null, Date.now());
  for (const one of findings) process.stderr.write(`${formatFinding(one)}\n`);
  const published = encode(compiled.config, sha256Hex(offlinePepper));
  const maps = [...configMapsOf("sluice", published)].map(([name, data]) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name },
    data,
  }));
  process.stdout.write(maps.map((map) => stringify(map, { lineWidth: 0 })).join("---\n"));
  if (findings.some((one) => one.severity === "error")) process.exitCode = 1;
}
