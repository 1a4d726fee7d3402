/** Options of `sluice diff` that say which calls to replay. */
import { type LedgerDimension, type LedgerRow, ledgerDimensions } from "../../proxy/config/ledger.ts";
import { UsageError } from "../../proxy/usage-error.ts";
import { readLedgers } from "../ledger.ts";
import { ledgersOf, spanOf } from "../report-options.ts";
import { readUsage } from "./read.ts";

export const usageUsage = `
With the calls of a usage ledger, it also shows who would be refused, who would be served by another provider or model,
and who would pay more or less:

  --usage FILE          what sluice ledger export wrote, as CSV or JSON lines; - for standard input; may be repeated
  --from-cluster TIME   the ledger of an installation, such as 7d until now
  --system-namespace NS where Sluice is installed (default sluice-system)
  --kubeconfig FILE     (default: ~/.kube/config)
  --by LIST             group effects by these: ${ledgerDimensions.join(", ")}
                        (default namespace,user,team,model)
`;

export const usageOptions = {
  usage: { type: "string", multiple: true },
  "from-cluster": { type: "string" },
  "system-namespace": { type: "string" },
  kubeconfig: { type: "string" },
  by: { type: "string", default: "namespace,user,team,model" },
} as const;

interface UsageValues {
  usage?: string[] | undefined;
  "from-cluster"?: string | undefined;
  "system-namespace"?: string | undefined;
  kubeconfig?: string | undefined;
  by: string;
}

const isDimension = (name: string): name is LedgerDimension => (ledgerDimensions as readonly string[]).includes(name);

export function usageGroups({ by }: UsageValues): LedgerDimension[] {
  const names = by.split(",");
  const unknown = names.find((name) => !isDimension(name));
  if (unknown !== undefined)
    throw new UsageError(`--by must be a list of ${ledgerDimensions.join(", ")}, not ${unknown}`);
  return names.filter(isDimension);
}

async function rowsOfCluster(period: string, values: UsageValues): Promise<LedgerRow[]> {
  const { fromMs, toMs } = spanOf({ period, "time-zone": "UTC" }, Date.now());
  const place = { "system-namespace": values["system-namespace"] ?? "sluice-system", kubeconfig: values.kubeconfig };
  const { rows, missing } = await readLedgers(await ledgersOf(place), { fromMs, toMs, facts: false });
  for (const why of missing) process.stderr.write(`warning: use is missing: ${why}\n`);
  return rows;
}

/** Returns null if no usage was asked for. */
export async function usageRows(values: UsageValues): Promise<LedgerRow[] | null> {
  usageGroups(values);
  const { usage: files, "from-cluster": period } = values;
  if (files !== undefined && period !== undefined) throw new UsageError("give --usage or --from-cluster, not both");
  if (period !== undefined) return rowsOfCluster(period, values);
  if (files === undefined) return null;
  const rows: LedgerRow[] = [];
  for (const file of files) for (const row of await readUsage(file)) rows.push(row);
  return rows;
}
