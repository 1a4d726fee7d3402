/** `sluice cost-report` and `sluice top-users`: sums over the usage ledger. */
import { parseArgs } from "node:util";
import { ledgerDimensions } from "../proxy/config/ledger.ts";
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
import { type FocusOptions, focusCsv } from "./focus.ts";
import type { LedgerSpan } from "./ledger.ts";
import { type ReportSpan, spanOptions, spanUsage } from "./report-options.ts";
import { notesOf, rendered } from "./report-output.ts";
import { readReport, sourceOptions, sourceUsage } from "./report-source.ts";

const where = `${sourceUsage}
${spanUsage}
  -o, --output FORMAT   table (default), json or csv; notes on the figures of the last two go to stderr`;

export const costReportUsage = `sluice cost-report: what was spent, exactly, from the usage ledger

  --group-by LIST       of ${groupings.join(", ")}
                        and label:KEY (default user,model)
${where}
  --format focus        the columns of FOCUS, the FinOps Open Cost and Usage Specification, as csv (default) or with
                        -o parquet as a Parquet file; it takes --group-by
                        of ${ledgerDimensions.join(", ")},
                        and hour or day (default namespace,team,key,day); model and provider are always apart
    --billing-account ID  the account that is charged (default sluice)
    --billed-by NAME      who invoices the charges (default Sluice); providers if your providers do, whose own FOCUS
                        exports hold the billed cost: it is 0 here
    --provider-name NAMESPACE/NAME=COMPANY
                        the company behind an LLMProvider; may be repeated (default: its namespace and name)`;

export const topUsersUsage = `sluice top-users: who uses most

  --metric METRIC       cost (default), tokens or requests
  --limit N             how many to list (default 10); the total covers all
${where}`;

const options = {
  ...sourceOptions,
  ...spanOptions,
  output: { type: "string", short: "o" },
  help: { type: "boolean" },
} as const;

const costOptions = {
  ...options,
  "group-by": { type: "string" },
  format: { type: "string" },
  "billing-account": { type: "string" },
  "billed-by": { type: "string" },
  "provider-name": { type: "string", multiple: true },
} as const;

const topOptions = {
  ...options,
  metric: { type: "string", default: "cost" },
  limit: { type: "string", default: "10" },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];
type CostValues = ReturnType<typeof parseArgs<{ options: typeof costOptions }>>["values"];

function outputOf({ output = "table" }: Values): string {
  if (!["table", "json", "csv"].includes(output))
    throw new UsageError(`--output must be table, json or csv, not ${output}`);
  return output;
}

function groupingsOf(text: string): Grouping[] {
  const names = text.split(",");
  const unknown = names.find((name) => !isGrouping(name));
  if (unknown !== undefined)
    throw new UsageError(`--group-by must be a list of ${groupings.join(", ")} and label:KEY, not ${unknown}`);
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

const isFact = (name: Grouping): boolean => name === "tag" || name.startsWith("label:");

async function ask(values: Values, groupBy: Grouping[]): Promise<Asked> {
  const facts = groupBy.some(isFact);
  if (facts && values.ledger !== undefined)
    throw new UsageError("a file of the ledger has no tags and labels: group by something else, or ask the proxies");
  const { span, ledger } = await readReport(values, facts);
  const { rows, keys } = ledger;
  return { span, ledger, groupBy, groups: groupRows(rows, groupBy, { timeZone: span.timeZone, keys }) };
}

function print(values: Values, { span, ledger, groupBy }: Asked, groups: readonly Group[]): void {
  const total = ledger.rows.length === 0 ? null : totalOf(ledger.rows);
  const notes = notesOf(span, ledger, { groupBy, total }, values.url !== undefined);
  const text = rendered({ groupBy, groups, total, currency: ledger.currency, notes }, outputOf(values));
  process.stdout.write(`${text.out}\n`);
  for (const note of text.notes) process.stderr.write(`${note}\n`);
}

const focusGroupings: readonly string[] = [...ledgerDimensions, "hour", "day"];

function providerNamesOf(texts: readonly string[]): Map<string, string> {
  return new Map(
    texts.map((text) => {
      const [, provider, company] = /^([^/=]+\/[^/=]+)=(.+)$/.exec(text) ?? [];
      if (provider === undefined || company === undefined)
        throw new UsageError(
          `--provider-name must name a provider and a company, such as team-a/chat=Acme, not ${text}`,
        );
      return [provider, company];
    }),
  );
}

function focusOptionsOf(values: CostValues): Omit<FocusOptions, "keys" | "timeZone"> {
  if (values.format !== "focus") throw new UsageError(`--format must be focus, not ${values.format}`);
  if (values.output !== undefined && values.output !== "csv" && values.output !== "parquet")
    throw new UsageError(`--format focus writes csv or parquet, not ${values.output}`);
  if (values.output === "parquet" && process.stdout.isTTY)
    throw new UsageError("a Parquet file is not text: write it to a file, as with > focus.parquet");
  const names = (values["group-by"] ?? "namespace,team,key,day").split(",");
  const unknown = names.find((name) => !focusGroupings.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`--group-by with --format focus is a list of ${focusGroupings.join(", ")}, not ${unknown}`);
  const issuer = values["billed-by"] ?? "Sluice";
  return {
    groupBy: ledgerDimensions.filter((name) => names.includes(name)),
    chargePeriod: names.includes("hour") ? "hour" : "day",
    billingAccount: values["billing-account"] ?? "sluice",
    issuer: issuer === "providers" ? null : issuer,
    providerNames: providerNamesOf(values["provider-name"] ?? []),
  };
}

async function writeFocus(values: CostValues): Promise<void> {
  const how = focusOptionsOf(values);
  const { span, ledger } = await readReport(values, values.ledger === undefined);
  const { rows, keys } = ledger;
  const options = { ...how, keys, timeZone: span.timeZone };
  if (values.output === "parquet") {
    // Loaded only here: no other command needs it.
    const { focusParquet } = await import("./focus-parquet.ts");
    process.stdout.write(focusParquet(rows, options));
  } else process.stdout.write(`${focusCsv(rows, options)}\r\n`);
  const total = rows.length === 0 ? null : totalOf(rows);
  for (const note of notesOf(span, ledger, { groupBy: [], total }, values.url !== undefined))
    process.stderr.write(`${note}\n`);
}

const focusOnly = ["billing-account", "billed-by", "provider-name"] as const;

export async function runCostReport(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: costOptions });
  if (values.help) {
    process.stdout.write(`${costReportUsage}\n`);
    return;
  }
  if (values.format !== undefined) return writeFocus(values);
  const misplaced = focusOnly.find((name) => values[name] !== undefined);
  if (misplaced !== undefined) throw new UsageError(`--${misplaced} goes with --format focus`);
  outputOf(values);
  const asked = await ask(values, groupingsOf(values["group-by"] ?? "user,model"));
  print(values, asked, asked.groups);
}

const metrics: Readonly<Record<string, (group: Group) => number | bigint>> = {
  cost: ({ sums }) => sums.costNanoUsd,
  tokens: ({ sums }) => tokensOf(sums),
  requests: ({ sums }) => sums.requests,
};

export async function runTopUsers(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: topOptions });
  if (values.help) {
    process.stdout.write(`${topUsersUsage}\n`);
    return;
  }
  const metric = Object.hasOwn(metrics, values.metric) ? metrics[values.metric] : undefined;
  if (metric === undefined) throw new UsageError(`--metric must be cost, tokens or requests, not ${values.metric}`);
  outputOf(values);
  if (!/^[1-9][0-9]{0,4}$/.test(values.limit))
    throw new UsageError(`--limit must be a number of users, not ${values.limit}`);
  const asked = await ask(values, ["namespace", "user", "team"]);
  const groups = asked.groups.toSorted((a, b) => (metric(a) < metric(b) ? 1 : metric(a) > metric(b) ? -1 : 0));
  print(values, asked, groups.slice(0, Number(values.limit)));
}
