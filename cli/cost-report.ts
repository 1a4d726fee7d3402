/** `sluice cost-report` and `sluice top-users`: sums over the usage ledger. */
import { parseArgs } from "node:util";
import { durationMs } from "../crds/quantity.ts";
import { csvLine } from "../operator/csv.ts";
import { type Group, type Grouping, groupings, groupRows, tokensOf, usd } from "../proxy/config/usage-report.ts";
import { UsageError } from "../proxy/usage-error.ts";
import { type Ledger, ledgerAt, ledgersIn, readLedgers } from "./ledger.ts";

const where = `  --url URL             a proxy's status port (default http://127.0.0.1:9090); again for each proxy, where they
                        share no Redis or Valkey; its token is read from SLUICE_STATUS_TOKEN; or
  --system-namespace NS where Sluice is installed in a cluster: its proxies are asked through the API server, which takes
                        the rights of the Role sluice-reports there
  --kubeconfig FILE     (default: ~/.kube/config)
  --period TIME         until now, such as 24h or 7d (default 7d), or
  --from, --to MOMENT   such as 2027-02-01T00:00:00Z; whole hours count
  -o, --output FORMAT   table (default), json or csv`;

export const costReportUsage = `sluice cost-report: what was spent, exactly, from the usage ledger

  --group-by LIST       of ${groupings.join(", ")} (default user,model)
${where}`;

export const topUsersUsage = `sluice top-users: who uses most

  --metric METRIC       cost (default), tokens or requests
  --limit N             how many (default 10)
${where}`;

const options = {
  url: { type: "string", multiple: true },
  "system-namespace": { type: "string" },
  kubeconfig: { type: "string" },
  period: { type: "string" },
  from: { type: "string" },
  to: { type: "string" },
  output: { type: "string", short: "o", default: "table" },
  "group-by": { type: "string", default: "user,model" },
  metric: { type: "string", default: "cost" },
  limit: { type: "string", default: "10" },
  help: { type: "boolean" },
} as const;

/** Default URL of the status port, for `sluice dev` and for a forwarded port. */
const ownStatus = "http://127.0.0.1:9090";

type Values = ReturnType<typeof parsed>;

function parsed(args: readonly string[]) {
  const { values } = parseArgs({ args: [...args], options });
  if (!["table", "json", "csv"].includes(values.output))
    throw new UsageError(`--output is table, json or csv, not ${values.output}`);
  const inCluster = values["system-namespace"] !== undefined || values.kubeconfig !== undefined;
  if (inCluster && values.url !== undefined)
    throw new UsageError("give --url, or --system-namespace and --kubeconfig, not both");
  return values;
}

function ledgersOf({ url, kubeconfig, "system-namespace": systemNamespace }: Values): Ledger[] | Promise<Ledger[]> {
  if (kubeconfig === undefined && systemNamespace === undefined)
    return (url ?? [ownStatus]).map((one) => ledgerAt(one, process.env["SLUICE_STATUS_TOKEN"]));
  return ledgersIn({ kubeconfig: kubeconfig ?? null, systemNamespace: systemNamespace ?? "sluice-system" });
}

const momentForm = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/;

/** Days begin at midnight UTC. Times need a zone, or they would differ between machines; dates must exist. */
function moment(name: string, text: string): number {
  const day = momentForm.exec(text)?.[1];
  const parsedMs = day === undefined ? Number.NaN : Date.parse(text);
  const isDay = day !== undefined && !Number.isNaN(Date.parse(day)) && new Date(day).toISOString().startsWith(day);
  if (Number.isNaN(parsedMs) || !isDay)
    throw new UsageError(
      `--${name} must be a day that exists, such as 2027-02-01, or a moment with its zone, such as 2027-02-01T00:00:00Z or 2027-02-01T00:00:00+01:00, not ${text}`,
    );
  return parsedMs;
}

/** The range starts at the beginning of its first hour. */
function span({ period, from, to }: Values, nowMs: number): { fromMs: number; toMs: number } {
  if (period !== undefined && from !== undefined) throw new UsageError("give --period or --from, not both");
  const toMs = to === undefined ? nowMs : moment("to", to);
  if (from !== undefined) {
    const fromMs = moment("from", from);
    if (fromMs >= toMs)
      throw new UsageError(to === undefined ? "--from must be in the past" : "--from must be before --to");
    return { fromMs, toMs };
  }
  const text = period ?? "7d";
  if (!/^[1-9][0-9]{0,4}(m|h|d)$/.test(text))
    throw new UsageError(`--period must be a time such as 24h or 7d, not ${text}`);
  const fromMs = toMs - durationMs(text);
  return { fromMs: fromMs - (fromMs % 3_600_000), toMs };
}

function groupingsOf(text: string): Grouping[] {
  const names = text.split(",");
  const unknown = names.find((name) => !(groupings as readonly string[]).includes(name));
  if (unknown !== undefined) throw new UsageError(`--group-by is a list of ${groupings.join(", ")}, not ${unknown}`);
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined) throw new UsageError(`--group-by names ${twice} twice; name it once`);
  return names as Grouping[];
}

const figures = ["requests", "errors", "input_tokens", "cached_tokens", "output_tokens", "cost_usd"] as const;

function cells({ by, sums }: Group): string[] {
  return [
    ...Object.values(by),
    sums.requests,
    sums.errors,
    sums.promptTokens,
    sums.cachedTokens,
    sums.completionTokens,
    usd(sums.costNanoUsd),
  ].map(String);
}

function total(groups: readonly Group[]): Group["sums"] | null {
  const [first, ...rest] = groups;
  if (first === undefined) return null;
  const sums = { ...first.sums };
  for (const group of rest)
    for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += group.sums[name];
  return sums;
}

function asTable(head: readonly string[], groups: readonly Group[]): string {
  const sums = total(groups);
  const label = Object.fromEntries(Object.keys(groups[0]?.by ?? {}).map((name, at) => [name, at === 0 ? "total" : ""]));
  const lines = [
    head.map((name) => name.toUpperCase()),
    ...groups.map(cells),
    ...(sums === null ? [] : [cells({ by: label, sums })]),
  ];
  const widths = head.map((_, at) => Math.max(...lines.map((line) => (line[at] ?? "").length)));
  const texts = head.length - figures.length;
  const pad = (cell: string, at: number): string =>
    at < texts ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0);
  const notes =
    sums !== null && sums.unpriced > 0
      ? [`${sums.unpriced} requests of models without a price are not in the cost`]
      : [];
  const guesses = sums !== null && sums.estimated > 0 ? [`${sums.estimated} requests have estimated tokens`] : [];
  const nothing = sums === null ? ["nothing was used in this time"] : [];
  return [...lines.map((line) => line.map(pad).join("   ").trimEnd()), ...notes, ...guesses, ...nothing].join("\n");
}

function render(values: Values, groupBy: readonly Grouping[], groups: readonly Group[]): string {
  const head = [...groupBy, ...figures];
  if (values.output === "csv") return [head, ...groups.map(cells)].map(csvLine).join("\r\n");
  if (values.output === "table") return asTable(head, groups);
  const shown = groups.map(({ by, sums }) => ({ ...by, ...sums, costUsd: usd(sums.costNanoUsd) }));
  return JSON.stringify(shown, null, 2);
}

async function rowsOf(values: Values) {
  const { fromMs, toMs } = span(values, Date.now());
  return readLedgers(await ledgersOf(values), fromMs, toMs);
}

export async function runCostReport(args: readonly string[]): Promise<void> {
  const values = parsed(args);
  if (values.help) {
    process.stdout.write(`${costReportUsage}\n`);
    return;
  }
  const groupBy = groupingsOf(values["group-by"]);
  process.stdout.write(`${render(values, groupBy, groupRows(await rowsOf(values), groupBy))}\n`);
}

const metrics: Readonly<Record<string, (group: Group) => number>> = {
  cost: ({ sums }) => sums.costNanoUsd,
  tokens: ({ sums }) => tokensOf(sums),
  requests: ({ sums }) => sums.requests,
};

export async function runTopUsers(args: readonly string[]): Promise<void> {
  const values = parsed(args);
  if (values.help) {
    process.stdout.write(`${topUsersUsage}\n`);
    return;
  }
  const metric = Object.hasOwn(metrics, values.metric) ? metrics[values.metric] : undefined;
  if (metric === undefined) throw new UsageError(`--metric is cost, tokens or requests, not ${values.metric}`);
  if (!/^[1-9][0-9]{0,4}$/.test(values.limit))
    throw new UsageError(`--limit is a number of users, not ${values.limit}`);
  const groupBy: Grouping[] = ["namespace", "user", "team"];
  const groups = groupRows(await rowsOf(values), groupBy).sort((a, b) => metric(b) - metric(a));
  process.stdout.write(`${render(values, groupBy, groups.slice(0, Number(values.limit)))}\n`);
}
