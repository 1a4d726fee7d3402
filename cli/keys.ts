/** `sluice keys`: create, rotate, revoke and list API keys, in a cluster or in a folder. */
import { connectCluster, inWords, loadConfig } from "../operator/cluster/api.ts";
import { type KeysCommand, type KeysValues, keysArguments, keysUsage } from "./keys/arguments.ts";
import { createInCluster, listInCluster, revokeInCluster, rotateInCluster } from "./keys/cluster.ts";
import { createInFolder, listInFolder, revokeInFolder, rotateInFolder } from "./keys/folder.ts";
import { table } from "./keys/object.ts";

async function inFolder(folder: string, command: KeysCommand, values: KeysValues): Promise<string[]> {
  const namespace = values.namespace ?? "default";
  if (command === "create") return createInFolder(folder, values, namespace);
  if (command === "rotate") return rotateInFolder(folder, values, namespace, Date.now());
  if (command === "revoke") return revokeInFolder(folder, values, namespace);
  const rows = await listInFolder(folder, values, values.namespace ?? null);
  return [values.output === "json" ? JSON.stringify(rows, null, 2) : table(rows)];
}

async function inCluster(command: KeysCommand, values: KeysValues): Promise<string[]> {
  const config = loadConfig(values.kubeconfig ?? null);
  const cluster = connectCluster(config);
  const namespace = values.namespace ?? config.getContextObject(config.getCurrentContext())?.namespace ?? "default";
  if (command === "create") return createInCluster(cluster, values, namespace);
  if (command === "rotate") return rotateInCluster(cluster, values, namespace, Date.now());
  if (command === "revoke") return revokeInCluster(cluster, values, namespace);
  const rows = await listInCluster(cluster, values, values.namespace ?? null);
  return [values.output === "json" ? JSON.stringify(rows, null, 2) : table(rows)];
}

export async function runKeys(args: readonly string[]): Promise<void> {
  const asked = keysArguments(args);
  if (asked === null) {
    process.stdout.write(`${keysUsage}\n`);
    process.exitCode = args.includes("--help") ? 0 : 2;
    return;
  }
  const { command, values } = asked;
  const lines = await (values.folder === undefined
    ? inCluster(command, values).catch((cause: unknown) => {
        throw new Error(inWords(cause), { cause });
      })
    : inFolder(values.folder, command, values));
  process.stdout.write(`${lines.join("\n")}\n`);
}
