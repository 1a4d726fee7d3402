/** `sluice alerts test`: has the operator send a test alert on each channel of an object, and prints the results. */
import { parseArgs } from "node:util";
import { group, type Kind, kinds, version } from "../crds/kinds.ts";
import type { AlertTest } from "../crds/types/alerts.ts";
import { asMerge, connectCluster, inWords, loadConfig, statusCode } from "../operator/cluster/api.ts";
import { testAnnotation } from "../operator/delivery/pending-alert.ts";
import { UsageError } from "../proxy/usage-error.ts";
import { type StoredObject, waitUntil } from "./live.ts";

const usage = `sluice alerts test [KIND/]NAME: send a test alert on each channel of an object

  KIND is budget (which may be left out), llmprovider or routingpolicy. The operator sends the alert with the
  object's Secrets, as it sends real ones. You need permission to change the object.

  -n, --namespace NS    (default: the kubeconfig's, else default)
  --kubeconfig FILE     (default: ~/.kube/config)
  --wait SECONDS        wait for the result (default 60)`;

const options = {
  namespace: { type: "string", short: "n" },
  kubeconfig: { type: "string" },
  wait: { type: "string", default: "60" },
  help: { type: "boolean", default: false },
} as const;

type Tested = StoredObject & { spec?: { alerts?: unknown[] }; status?: { alertTest?: AlertTest } };

/** Kinds that have alerts, under every name that kubectl knows them by. */
const tested: readonly Kind[] = ["Budget", "LLMProvider", "RoutingPolicy"];

function subjectOf(text: string): { kind: Kind; name: string } {
  const parts = text.split("/");
  const [word, name] = parts.length === 1 ? ["budget", text] : parts;
  const kind = tested.find((object) =>
    [kinds[object].singular, kinds[object].plural, ...kinds[object].shortNames].includes((word ?? "").toLowerCase()),
  );
  if (kind === undefined || name === undefined || name === "" || parts.length > 2)
    throw new UsageError(`it is NAME, budget/NAME, llmprovider/NAME or routingpolicy/NAME, not ${text}`);
  return { kind, name };
}

async function test(
  kind: Kind,
  name: string,
  namespace: string,
  kubeconfig: string | null,
  seconds: number,
): Promise<AlertTest> {
  const cluster = connectCluster(loadConfig(kubeconfig));
  const { plural } = kinds[kind];
  const ref = { group, version, plural, namespace, name };
  const object = (await cluster.custom.getNamespacedCustomObject(ref).catch((cause: unknown) => {
    throw statusCode(cause) === 404 ? new Error(`namespace ${namespace} has no ${kind} ${name}`) : cause;
  })) as Tested;
  if ((object.spec?.alerts ?? []).length === 0) throw new Error(`${kind} ${namespace}/${name} has no spec.alerts`);
  const requestedAt = new Date().toISOString();
  await cluster.custom.patchNamespacedCustomObject(
    { ...ref, body: { metadata: { annotations: { [testAnnotation]: requestedAt } } }, fieldManager: "sluice-cli" },
    asMerge,
  );
  const answered = (stored: StoredObject): boolean => (stored as Tested).status?.alertTest?.requestedAt === requestedAt;
  await waitUntil(cluster, kind, { name, namespace }, seconds, answered);
  const done = (await cluster.custom.getNamespacedCustomObject(ref)) as Tested;
  return done.status?.alertTest ?? { requestedAt, results: [] };
}

export async function runAlerts(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  if (values.help || positionals.length === 0) {
    process.stdout.write(`${usage}\n`);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const [command, text, ...more] = positionals;
  if (command !== "test" || text === undefined || more.length > 0)
    throw new UsageError("it is: sluice alerts test [KIND/]NAME");
  const { kind, name } = subjectOf(text);
  if (!/^[1-9]\d{0,3}$/.test(values.wait))
    throw new UsageError(`--wait must be a number of seconds, not ${values.wait}`);
  const config = loadConfig(values.kubeconfig ?? null);
  const namespace = values.namespace ?? config.getContextObject(config.getCurrentContext())?.namespace ?? "default";
  const { results } = await test(kind, name, namespace, values.kubeconfig ?? null, Number(values.wait)).catch(
    (cause: unknown) => {
      throw new Error(inWords(cause), { cause });
    },
  );
  for (const { channel, result } of results) process.stdout.write(`${channel.padEnd(14)} ${result}\n`);
  if (results.length === 0)
    throw new Error(
      `no channel is usable; the ${kind}'s condition ${kind === "Budget" ? "ResolvedRefs" : "AlertsReady"} says why`,
    );
  if (results.some(({ result }) => result !== "sent")) process.exitCode = 1;
}
