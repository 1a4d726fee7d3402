/** `sluice shadow report`: compares calls with their copies. */

import { readFile } from "node:fs/promises";
import { text as readAll } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { csvLine } from "../operator/csv.ts";
import { nounCount } from "../proxy/config/noun-count.ts";
import {
  durationQuantile,
  lowSimilarity,
  type ShadowReading,
  type ShadowRow,
  ShadowRows,
  type ShadowSpan,
} from "../proxy/config/shadow-report.ts";
import { usd } from "../proxy/config/usage-report.ts";
import { UsageError } from "../proxy/usage-error.ts";
import type { Ledger } from "./ledger.ts";
import { ledgersOf, placeOptions, placeUsage, type SpanValues, spanOf, spanOptions } from "./report-options.ts";
import { comparisonsIn } from "./shadow-lines.ts";
import { textTable } from "./tables.ts";

const shadowUsage = `sluice shadow report [FILE…]: compare calls with their copies, which go to the shadows of policies

Reads FILEs with the log of proxies (- for standard input). Without FILEs, asks the proxies, which count since they
started:
${placeUsage}
  --period TIME         until now, such as 24h or 7d (default: everything that was counted), or
  --from, --to MOMENT   a day such as 2027-02-01, or a moment such as 2027-02-01T00:00:00Z; proxies count by whole
                        hours, for up to 31 days
  --time-zone ZONE      of days, such as Europe/Berlin (default UTC)
  --policy NAME         namespace/name of a policy; repeatable (default: all)
  -o, --output FORMAT   table (default), json or csv; notes on the figures of the last two go to stderr

Similarity is the share of words and pairs of words that both answers have, from 0 to 1.`;

interface Report {
  rows: ShadowRow[];
  dropped: { policy: string; reason: string; calls: number }[];
  notes: string[];
}

async function readFiles(files: readonly string[], span: ShadowSpan | null): Promise<Report> {
  const texts = await Promise.all(
    files.map((file) => (file === "-" ? readAll(process.stdin) : readFile(file, "utf8"))),
  );
  const { rows, since } = comparisonsIn(texts, span);
  return { rows: rows.list(), dropped: [], notes: since === null ? [] : [`since ${since}`] };
}

const iso = (ms: number): string => new Date(ms).toISOString();

async function readProxy(proxy: Ledger, span: ShadowSpan | null): Promise<ShadowReading | string> {
  const query = span === null ? "" : `?${new URLSearchParams({ from: iso(span.fromMs), to: iso(span.toMs) })}`;
  try {
    return (await proxy.ask(`/shadow${query}`)) as ShadowReading;
  } catch (cause) {
    return proxy.failure(cause instanceof Error ? cause.message : String(cause));
  }
}

function summed(readings: readonly ShadowReading[]): Pick<Report, "rows" | "dropped"> {
  const rows = new ShadowRows();
  for (const row of readings.flatMap((reading) => reading.rows)) rows.merge(row);
  const drops = Map.groupBy(
    readings.flatMap(({ dropped }) => dropped),
    ({ policy, reason }) => `${policy} ${reason}`,
  );
  const dropped = [...drops.values()].flatMap((group) => {
    const calls = group.reduce((sum, drop) => sum + drop.calls, 0);
    return group.slice(0, 1).map(({ policy, reason }) => ({ policy, reason, calls }));
  });
  return { rows: rows.list(), dropped };
}

/** Notes on readings that a report on a span lacks, or that exceed the span. */
function spanNotes(readings: readonly ShadowReading[], span: ShadowSpan): string[] {
  const begins = readings.flatMap(({ keptFrom }) => (keptFrom === undefined ? [] : [Date.parse(keptFrom)]));
  const late = begins.filter((ms) => ms > span.fromMs);
  return [
    ...(late.length === 0
      ? []
      : [`warning: copies before ${iso(Math.max(...late))} are missing: see the proxies' logs`]),
    ...(begins.length === readings.length
      ? []
      : ["warning: a proxy of an older version doesn't count by hours; its copies of other hours are included"]),
  ];
}

async function askProxies(values: Parameters<typeof ledgersOf>[0], span: ShadowSpan | null): Promise<Report> {
  const answers = await Promise.all((await ledgersOf(values)).map((proxy) => readProxy(proxy, span)));
  const missing = answers.filter((answer) => typeof answer === "string");
  const readings = answers.filter((answer) => typeof answer !== "string");
  const own = [...new Map(readings.map((reading) => [reading.instance, reading])).values()];
  if (own.length === 0) throw new Error(missing[0] ?? "there is no proxy");
  const since = own.map((reading) => reading.since).sort()[0];
  const who = own.length === 1 ? "one proxy" : `${own.length} proxies`;
  const notes = [
    ...(span === null
      ? [`counted by ${who} since ${since}; a proxy that restarts begins again, and its log has what came before`]
      : [`counted by ${who} from ${iso(span.fromMs)} to ${iso(span.toMs)}, in whole hours`, ...spanNotes(own, span)]),
    ...missing.map((why) => `warning: comparisons are missing: ${why}`),
  ];
  return { ...summed(own), notes };
}

type Figure = string | number;

/** One row, under the names of CSV and JSON. */
function figuresOf(row: ShadowRow): Record<string, Figure> {
  const side = (name: "call" | "copy"): Record<string, Figure> => {
    const side = row[name];
    return {
      [`${name}_ok`]: side.ok,
      [`${name}_input_tokens`]: side.inputTokens,
      [`${name}_output_tokens`]: side.outputTokens,
      [`${name}_cost_usd`]: usd(side.costNanoUsd),
      [`${name}_unpriced`]: row.pairs - side.priced,
      ...Object.fromEntries(
        [50, 95, 99].map((percent) => [`${name}_p${percent}_ms`, durationQuantile(side, percent / 100) ?? ""]),
      ),
    };
  };
  const statuses = Object.entries(row.statuses).map(([status, count]) => `${status}:${count}`);
  return {
    ...{ policy: row.policy, model: row.model, target: row.target, shadow: row.shadow, pairs: row.pairs },
    ...side("call"),
    ...side("copy"),
    copy_statuses: statuses.join(" "),
    compared: row.compared,
    similarity_mean: row.compared === 0 ? "" : (row.similarity / row.compared).toFixed(3),
    similarity_p10: lowSimilarity(row)?.toFixed(2) ?? "",
  };
}

function change(before: number, after: number): string {
  if (before === 0) return "";
  const percent = (100 * (after - before)) / before;
  return `${percent >= 0 ? "+" : ""}${percent.toFixed(1)} %`;
}

/** Errors are counted on the copy's side only: calls that failed are not copied. */
function blockOf(row: ShadowRow): string {
  const figures = figuresOf(row);
  const line = (label: string, name: string): string[] => {
    const [call = "", copy = ""] = [figures[`call_${name}`], figures[`copy_${name}`]];
    return [label, String(call), String(copy), change(Number(call), Number(copy))];
  };
  const failed = Object.entries(row.statuses).filter(([status]) => status !== "200");
  const lines = [
    ["", "CALLS", "COPIES", "CHANGE"],
    line("answered", "ok"),
    line("input tokens", "input_tokens"),
    line("output tokens", "output_tokens"),
    line("cost in USD", "cost_usd"),
    ...[50, 95, 99].map((percent) => line(`${percent} % within ms`, `p${percent}_ms`)),
  ];
  const similarity =
    row.compared === 0
      ? "similarity       nothing to compare"
      : `similarity       ${figures["similarity_mean"]} on average, at least ${figures["similarity_p10"]} for nine in ten (${row.compared} answers)`;
  return [
    `${row.policy}, ${row.model}: ${row.target} compared with ${row.shadow}`,
    textTable(lines),
    ...(failed.length === 0
      ? []
      : [`copies failed    ${failed.map(([status, count]) => `${status}: ${count}`).join(", ")}`]),
    similarity,
    ...(row.copy.priced < row.pairs
      ? [`without a price  ${row.pairs - row.copy.priced} of the copies, which cost nothing in these figures`]
      : []),
  ].join("\n");
}

function notesOf({ rows, dropped, notes }: Report): string[] {
  const drops = dropped.map(
    ({ policy, reason, calls }) => `not copied, ${policy}: ${nounCount(calls, "call")}, ${reason}`,
  );
  return [...(rows.length === 0 ? ["no copies were compared"] : []), ...drops, ...notes];
}

const formats: Readonly<Record<string, (rows: readonly ShadowRow[]) => string>> = {
  table: (rows) => rows.map(blockOf).join("\n\n"),
  json: (rows) => JSON.stringify(rows.map(figuresOf), null, 2),
  csv: (rows) => {
    const lines = rows.map(figuresOf);
    const head = Object.keys(lines[0] ?? {});
    return [csvLine(head), ...lines.map((line) => csvLine(Object.values(line)))].join("\r\n");
  },
};

/** null if no span is asked for. */
function spanAsked(values: SpanValues): ShadowSpan | null {
  const { period, from, to } = values;
  return (period ?? from ?? to) === undefined ? null : spanOf(values, Date.now());
}

export async function runShadow([command, ...args]: readonly string[]): Promise<void> {
  if (command === "--help") {
    process.stdout.write(`${shadowUsage}\n`);
    return;
  }
  if (command !== "report") throw new UsageError(`shadow has one command, report, not ${command ?? "nothing"}`);
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...placeOptions,
      ...spanOptions,
      policy: { type: "string", multiple: true },
      output: { type: "string", short: "o", default: "table" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    process.stdout.write(`${shadowUsage}\n`);
    return;
  }
  const format = Object.hasOwn(formats, values.output) ? formats[values.output] : undefined;
  if (format === undefined) throw new UsageError(`--output must be table, json or csv, not ${values.output}`);
  if (positionals.length > 0 && (values.url ?? values["system-namespace"] ?? values.kubeconfig) !== undefined)
    throw new UsageError("give FILEs, or say where the proxies are, not both");
  const span = spanAsked(values);
  const comparisons = positionals.length > 0 ? await readFiles(positionals, span) : await askProxies(values, span);
  const isAsked = ({ policy }: { policy: string }): boolean => values.policy?.includes(policy) ?? true;
  const report = {
    ...comparisons,
    rows: comparisons.rows.filter(isAsked),
    dropped: comparisons.dropped.filter(isAsked),
  };
  const rows = report.rows.toSorted((a, b) => b.pairs - a.pairs);
  const notes = notesOf(report);
  if (values.output !== "table") for (const note of notes) process.stderr.write(`${note}\n`);
  const blocks = [format(rows), ...(values.output === "table" ? [notes.join("\n")] : [])];
  process.stdout.write(`${blocks.filter((block) => block !== "").join("\n\n")}\n`);
}
