/** `sluice set-rate-limit`: sets a limit at once. It is a Budget, so everybody can see it and who set it. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { stringify } from "yaml";
import { apiVersion, group, kinds, version } from "../crds/kinds.ts";
import { parseSpec } from "../crds/parse.ts";
import { durationMs } from "../crds/quantity.ts";
import { type Cluster, connectCluster, inWords, loadConfig, statusCode } from "../operator/cluster/api.ts";
import { UsageError } from "../proxy/usage-error.ts";
import { folderObjects } from "./keys/folder.ts";
import { nameOf } from "./keys/object.ts";
import { type StoredObject, waitUntil } from "./live.ts";
import { type LimitRow, limitTable, scopeFields, stillLimiting, unknownCallers } from "./rate-limit-list.ts";

const usage = `sluice set-rate-limit: limit someone's calls on all proxies within seconds

  For whom (several narrow it down; each may be given more than once):
  --user USER  --team TEAM  --role ROLE  --tag TAG  --key APIKEY  --model MODEL
  --per User|Team|ApiKey|Model|Session   one such limit for each of these (default: one for all of them together)
  How much (one or more):
  --limit N             requests in --period
  --tokens N            tokens in --period
  --concurrency N       calls at once
  --period TIME         such as 1m, 1h or 1d (default 1h)
  For how long:
  --expires-in TIME     such as 24h (default: until it is removed)
  --remove              remove the limit
  --list                only print the limits of the namespace
  Where:
  --name NAME           of the Budget that holds it (default: made from whom it is for)
  -n, --namespace NS    (default: the kubeconfig's, else default)
  --folder DIR          a folder of manifests, as for sluice dev
  --kubeconfig FILE     a cluster (default: ~/.kube/config)
  --wait SECONDS        wait until it is live on all proxies (default 60; 0: don't wait)`;

const options = {
  user: { type: "string", multiple: true },
  team: { type: "string", multiple: true },
  role: { type: "string", multiple: true },
  tag: { type: "string", multiple: true },
  key: { type: "string", multiple: true },
  model: { type: "string", multiple: true },
  per: { type: "string" },
  limit: { type: "string" },
  tokens: { type: "string" },
  concurrency: { type: "string" },
  period: { type: "string", default: "1h" },
  "expires-in": { type: "string" },
  remove: { type: "boolean", default: false },
  list: { type: "boolean", default: false },
  name: { type: "string" },
  namespace: { type: "string", short: "n" },
  folder: { type: "string" },
  kubeconfig: { type: "string" },
  wait: { type: "string", default: "60" },
  help: { type: "boolean", default: false },
} as const;

type Values = ReturnType<typeof parsed>;
const parsed = (args: readonly string[]) => parseArgs({ args: [...args], options }).values;

export interface LimitObject {
  apiVersion: string;
  kind: "Budget";
  metadata: { name: string; namespace: string };
  spec: Record<string, unknown>;
}

function scopeOf(values: Values): Record<string, string[]> {
  const selections = Object.entries(scopeFields).map(([field, option]) => [field, values[option]] as const);
  return Object.fromEntries(selections.filter((option): option is [string, string[]] => option[1] !== undefined));
}

function count(values: Values, option: "limit" | "tokens" | "concurrency"): number | null {
  const text = values[option];
  if (text === undefined) return null;
  if (!/^(0|[1-9]\d{0,14})$/.test(text))
    throw new UsageError(`--${option} must be a whole number, or 0 to pause calls, not ${text}`);
  return Number(text);
}

function limitsOf(values: Values): Record<string, unknown>[] {
  const [requests, tokens, concurrency] = [
    count(values, "limit"),
    count(values, "tokens"),
    count(values, "concurrency"),
  ];
  return [
    ...(requests === null ? [] : [{ requests, window: values.period }]),
    ...(tokens === null ? [] : [{ tokens, window: values.period }]),
    ...(concurrency === null ? [] : [{ concurrency }]),
  ];
}

function expiryOf(values: Values, nowMs: number): Record<string, unknown> {
  const after = values["expires-in"];
  if (after === undefined) return {};
  if (!/^[1-9]\d{0,4}(ms|s|m|h|d)(\d{1,5}(ms|s|m|h|d))*$/.test(after))
    throw new UsageError(`--expires-in must be a time such as 24h, not ${after}`);
  return { expiresAt: new Date(Math.ceil((nowMs + durationMs(after)) / 1000) * 1000).toISOString() };
}

/** Pure. Throws UsageError if the arguments are wrong. */
export function limitObject(values: Values, namespace: string, nowMs: number): LimitObject {
  const scope = scopeOf(values);
  const whom = Object.values(scope).flat();
  if (whom.length === 0 && values.name === undefined)
    throw new UsageError(
      "say for whom: --user, --team, --role, --tag, --key or --model; or --name NAME to limit everybody in the namespace",
    );
  const name = (values.name ?? `rate-limit-${nameOf(whom.join("-"))}`).slice(0, 253);
  const metadata = { name, namespace };
  const limits = limitsOf(values);
  if (limits.length === 0) {
    if (values.remove) return { apiVersion, kind: "Budget", metadata, spec: {} };
    throw new UsageError("say how much: --limit, --tokens or --concurrency; or --remove");
  }
  const spec = { scope, ...(values.per === undefined ? {} : { per: values.per }), limits, ...expiryOf(values, nowMs) };
  const checked = parseSpec("Budget", spec);
  if (!checked.ok) throw new UsageError(checked.problems.map((problem) => problem.message).join("; "));
  return { apiVersion, kind: "Budget", metadata, spec };
}

const { plural } = kinds.Budget;

async function listed(cluster: Cluster, kind: "Budget" | "ApiKey", namespace: string): Promise<LimitRow[]> {
  const answer = await cluster.custom.listNamespacedCustomObject({
    group,
    version,
    plural: kinds[kind].plural,
    namespace,
  });
  return (answer as { items: LimitRow[] }).items;
}

/** Notes are optional, so lacking the permission to list must not fail the command. */
async function notes(values: Values, rows: (kind: "Budget" | "ApiKey") => Promise<LimitRow[]>): Promise<string[]> {
  try {
    const scope = scopeOf(values);
    return values.remove ? stillLimiting(await rows("Budget"), scope) : unknownCallers(await rows("ApiKey"), scope);
  } catch {
    return [];
  }
}

const fieldManager = "sluice-cli";
type Existing = StoredObject & { spec: Record<string, unknown>; metadata: { resourceVersion?: string } };

/** Refuses to overwrite a money budget with a limit of the same name. */
function mine(existing: Existing): Existing {
  const { name, namespace } = existing.metadata;
  if (existing.spec["amount"] !== undefined)
    throw new Error(`Budget ${namespace}/${name} holds an amount of money; choose another --name`);
  return existing;
}

async function existing(cluster: Cluster, name: string, namespace: string): Promise<Existing | null> {
  try {
    return mine(
      (await cluster.custom.getNamespacedCustomObject({ group, version, plural, namespace, name })) as Existing,
    );
  } catch (cause) {
    if (statusCode(cause) === 404) return null;
    throw cause;
  }
}

async function setInCluster(cluster: Cluster, object: LimitObject, waitSeconds: number): Promise<string> {
  const { name, namespace } = object.metadata;
  const there = await existing(cluster, name, namespace);
  if (there === null)
    await cluster.custom.createNamespacedCustomObject({
      group,
      version,
      plural,
      namespace,
      body: object,
      fieldManager,
    });
  else {
    const body = { ...there, spec: object.spec };
    await cluster.custom.replaceNamespacedCustomObject({ group, version, plural, namespace, name, body, fieldManager });
  }
  if (waitSeconds > 0) await waitUntil(cluster, "Budget", object.metadata, waitSeconds);
  return `Budget ${namespace}/${name} ${there === null ? "made" : "changed"}${waitSeconds > 0 ? "; it is in force on all proxies" : ""}`;
}

async function removeFromCluster(cluster: Cluster, { metadata: { name, namespace } }: LimitObject): Promise<string> {
  if ((await existing(cluster, name, namespace)) === null)
    throw new Error(`namespace ${namespace} has no Budget ${name}`);
  await cluster.custom.deleteNamespacedCustomObject({ group, version, plural, namespace, name });
  return `Budget ${namespace}/${name} removed`;
}

async function inFolder(folder: string, object: LimitObject, remove: boolean): Promise<string> {
  const { name, namespace } = object.metadata;
  const file = join(folder, `budget-${namespace}-${name}.yaml`);
  if (remove) {
    const { unlink } = await import("node:fs/promises");
    await unlink(file).catch((cause: { code?: string }) => {
      throw cause.code === "ENOENT" ? new Error(`${file} is not there`) : cause;
    });
    return `${file} removed`;
  }
  await writeFile(file, stringify(object));
  return `Budget ${namespace}/${name} written to ${file}`;
}

export async function runSetRateLimit(args: readonly string[]): Promise<void> {
  const values = parsed(args);
  if (values.help || args.length === 0) {
    process.stdout.write(`${usage}\n`);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  if (!/^\d{1,4}$/.test(values.wait)) throw new UsageError(`--wait must be a number of seconds, not ${values.wait}`);
  const { said, hints } = await (values.folder !== undefined
    ? toFolder(values.folder, values)
    : toCluster(values).catch((cause: unknown) => {
        throw cause instanceof UsageError ? cause : new Error(inWords(cause), { cause });
      }));
  process.stdout.write(`${said}\n`);
  for (const note of hints) process.stderr.write(`${note}\n`);
}

interface Outcome {
  said: string;
  /** What the user should know as well. */
  hints: string[];
}

async function toFolder(folder: string, values: Values): Promise<Outcome> {
  const namespace = values.namespace ?? "default";
  const rows = async (kind: "Budget" | "ApiKey"): Promise<LimitRow[]> =>
    (await folderObjects(folder, kind, namespace)) as LimitRow[];
  if (values.list) return { said: limitTable(await rows("Budget"), namespace), hints: [] };
  const said = await inFolder(folder, limitObject(values, namespace, Date.now()), values.remove);
  return { said, hints: await notes(values, rows) };
}

async function toCluster(values: Values): Promise<Outcome> {
  const config = loadConfig(values.kubeconfig ?? null);
  const namespace = values.namespace ?? config.getContextObject(config.getCurrentContext())?.namespace ?? "default";
  const cluster = connectCluster(config);
  const rows = (kind: "Budget" | "ApiKey"): Promise<LimitRow[]> => listed(cluster, kind, namespace);
  if (values.list) return { said: limitTable(await rows("Budget"), namespace), hints: [] };
  const object = limitObject(values, namespace, Date.now());
  const said = await (values.remove
    ? removeFromCluster(cluster, object)
    : setInCluster(cluster, object, Number(values.wait)));
  return { said, hints: await notes(values, rows) };
}
