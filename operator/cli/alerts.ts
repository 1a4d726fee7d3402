/** `sluice alerts test`: has the operator send a test alert by each channel of a Budget, and prints what came of it. */
import { parseArgs } from "node:util";
import { group, kinds, version } from "../../crds/kinds.ts";
import type { AlertTest } from "../../crds/types/budget.ts";
import { testAnnotation } from "../budgets.ts";
import { asMerge, connect, inWords, loadConfig, statusCode } from "../cluster/api.ts";
import { UsageError } from "./keys/arguments.ts";
import { type StoredObject, waitUntil } from "./live.ts";

const usage = `sluice alerts test NAME: send a test alert by each channel of the Budget NAME

  The operator sends it, with the Secrets and from the place that real alerts come from. Needs the right to change the Budget.

  -n, --namespace NS    (default: the kubeconfig's, else default)
  --kubeconfig FILE     (default: ~/.kube/config)
  --wait SECONDS        for the result (default 60)`;

const options = {
  namespace: { type: "string", short: "n" },
  kubeconfig: { type: "string" },
  wait: { type: "string", default: "60" },
  help: { type: "boolean", default: false },
} as const;

type Tested = StoredObject & { spec?: { alerts?: unknown[] }; status?: { alertTest?: AlertTest } };

async function test(name: string, namespace: string, kubeconfig: string | null, seconds: number): Promise<AlertTest> {
  const cluster = connect(loadConfig(kubeconfig));
  const { plural } = kinds.Budget;
  const ref = { group, version, plural, namespace, name };
  const budget = (await cluster.custom.getNamespacedCustomObject(ref).catch((cause: unknown) => {
    throw statusCode(cause) === 404 ? new Error(`namespace ${namespace} has no Budget ${name}`) : cause;
  })) as Tested;
  if ((budget.spec?.alerts ?? []).length === 0) throw new Error(`Budget ${namespace}/${name} has no spec.alerts`);
  const requestedAt = new Date().toISOString();
  await cluster.custom.patchNamespacedCustomObject(
    { ...ref, body: { metadata: { annotations: { [testAnnotation]: requestedAt } } }, fieldManager: "sluice-cli" },
    asMerge,
  );
  const answered = (one: StoredObject): boolean => (one as Tested).status?.alertTest?.requestedAt === requestedAt;
  await waitUntil(cluster, "Budget", { name, namespace }, seconds, answered);
  const done = (await cluster.custom.getNamespacedCustomObject(ref)) as Tested;
  return done.status?.alertTest ?? { requestedAt, results: [] };
}

export async function runAlerts(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  if (values.help || positionals.length === 0) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const [command, name, ...more] = positionals;
  if (command !== "test" || name === undefined || more.length > 0) throw new UsageError("it is: sluice alerts test NAME");
  if (!/^[1-9]\d{0,3}$/.test(values.wait)) throw new UsageError(`--wait is a number of seconds, not ${values.wait}`);
  const config = loadConfig(values.kubeconfig ?? null);
  const namespace = values.namespace ?? config.getContextObject(config.getCurrentContext())?.namespace ?? "default";
  const { results } = await test(name, namespace, values.kubeconfig ?? null, Number(values.wait)).catch((cause: unknown) => {
    throw new Error(inWords(cause), { cause });
  });
  for (const { channel, result } of results) process.stdout.write(`${channel.padEnd(14)} ${result}\n`);
  if (results.length === 0) throw new Error("no channel is usable; the Budget's condition ResolvedRefs says why");
  if (results.some(({ result }) => result !== "sent")) process.exitCode = 1;
}
