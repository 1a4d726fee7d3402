/** `sluice cost-report` and `sluice top-users`: sums over the usage ledger. */
import { parseArgs } from "node:util";
import {
  type Group,
  type Grouping,
  groupings,
  groupRows,
  isGrouping,
  tokensOf,
  totalOf,
} from "../proxy/config/usage-report.ts";
import { UsageError } from "../proxy/usage-error.ts";
import { type LedgerSpan, readLedgers } from "./ledger.ts";
import {
  ledgersOf,
  placeOptions,
  placeUsage,
  type ReportSpan,
  spanOf,
  spanOptions,
  spanUsage,
} from "./report-options.ts";
import { notesOf, rendered } from "./report-output.ts";

const where = `${placeUsage}
${spanUsage}
  -o, --output FORMAT   table (default), json or csv; notes on the figures of the last two go to stderr`;

export const costReportUsage = `sluice cost-report: what was spent, exactly, from the usage ledger

  --group-by LIST       of ${groupings.join(", ")}
                        and label:KEY (default user,model)
${where}`;

export const topUsersUsage = `sluice top-users: who uses most

  --metric METRIC       cost (default), tokens or requests
  --limit N             how many (default 10); the total is of all
${where}`;

const options = {
  ...placeOptions,
  ...spanOptions,
  output: { type: "string", short: "o", default: "table" },
  "group-by": { type: "string", default: "user,model" },
  metric: { type: "string", default: "cost" },
  limit: { type: "string", default: "10" },
  help: { type: "boolean" },
} as const;

type Values = ReturnType<typeof parsed>;

function parsed(args: readonly string[]) {
  const { values } = parseArgs({ args: [...args], options });
  if (!["table", "json", "csv"].includes(values.output))
    throw new UsageError(`--output is table, json or csv, not ${values.output}`);
  return values;
}

function groupingsOf(text: string): Grouping[] {
  const names = text.split(",");
  const unknown = names.find((name) => !isGrouping(name));
  if (unknown !== undefined)
    throw new UsageError(`--group-by is a list of ${groupings.join(", ")} and label:KEY, not ${unknown}`);
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined) throw new UsageError(`--group-by names ${twice} twice; name it once`);
  return names as Grouping[];
}

interface Asked {
  span: ReportSpan;
  ledger: LedgerSpan;
  groups: Group[];
  groupBy: Grouping[];
}

async function ask(values: Values, groupBy: Grouping[]): Promise<Asked> {
  const span = spanOf(values, Date.now());
  const facts = groupBy.some((name) => name === "tag" || name.startsWith("label:"));
  const ledger = await readLedgers(await ledgersOf(values), { ...span, facts });
  const { rows, keys } = ledger;
  return { span, ledger, groupBy, groups: groupRows(rows, groupBy, { timeZone: span.timeZone, keys }) };
}

function print(values: Values, { span, ledger, groupBy }: Asked, groups: readonly Group[]): void {
  const total = ledger.rows.length === 0 ? null : totalOf(ledger.rows);
  const notes = notesOf(span, ledger, { groupBy, total }, values.url !== undefined);
  const text = rendered({ groupBy, groups, total, currency: ledger.currency, notes }, values.output);
  process.stdout.write(`${text.out}\n`);
  for (const note of text.notes) process.stderr.write(`${note}\n`);
}

export async function runCostReport(args: readonly string[]): Promise<void> {
  const values = parsed(args);
  if (values.help) {
    process.stdout.write(`${costReportUsage}\n`);
    return;
  }
  const asked = await ask(values, groupingsOf(values["group-by"]));
  print(values, asked, asked.groups);
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
  const asked = await ask(values, ["namespace", "user", "team"]);
  const groups = asked.groups.toSorted((a, b) => metric(b) - metric(a));
  print(values, asked, groups.slice(0, Number(values.limit)));
}
