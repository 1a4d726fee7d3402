/** Effects on the ledger's calls as text, Markdown and JSON. Pure. */
import type { LedgerDimension } from "../../proxy/config/ledger.ts";
import { usd } from "../../proxy/config/usage-report.ts";
import { markdownCell, markdownCode, markdownTable, textTable } from "../tables.ts";
import type { EffectKind, UsageEffect, UsageReport } from "./effects.ts";

const titles: Readonly<Record<EffectKind, string>> = {
  refused: "refused",
  served: "newly served",
  moved: "moved",
  cost: "other price",
};

const signed = (nanoUsd: number): string => (nanoUsd < 0 ? `-${usd(-nanoUsd)}` : `+${usd(nanoUsd)}`);

const calls = (count: number): string => `${count} ${count === 1 ? "call" : "calls"}`;

/** Two sentences. */
function summary({ calls: all, sums, beforeNanoUsd, afterNanoUsd, fromMs, toMs }: UsageReport): string {
  if (fromMs === null || toMs === null) return "The usage has no calls.";
  const parts = [
    ...(sums.refused > 0 ? [`${sums.refused} would be refused`] : []),
    ...(sums.served > 0 ? [`${sums.served} would be served that are refused now`] : []),
    ...(sums.moved > 0 ? [`${sums.moved} would go to another provider or model`] : []),
    ...(sums.cost > 0 ? [`${sums.cost} would have another price`] : []),
  ];
  const span = `from ${new Date(fromMs).toISOString()} to ${new Date(toMs).toISOString()}`;
  const effect = parts.length === 0 ? "nothing would change" : parts.join(", ");
  const cost =
    beforeNanoUsd === afterNanoUsd
      ? `They cost USD ${usd(beforeNanoUsd)}.`
      : `They would cost USD ${usd(afterNanoUsd)} instead of ${usd(beforeNanoUsd)} (${signed(afterNanoUsd - beforeNanoUsd)}).`;
  return `Of ${calls(all)} ${span}, ${effect}. ${cost}`;
}

function changeOf({ from, to, status, code, message }: UsageEffect): string {
  if (code !== null) return `${to === null ? "" : `→ ${to}; was `}${status} ${code}: ${message}`;
  return from === to ? (from ?? "") : `${from} → ${to}`;
}

const headOf = (groupBy: readonly LedgerDimension[]): string[] => ["effect", "calls", ...groupBy, "change", "USD"];

function cellsOf(effect: UsageEffect, groupBy: readonly LedgerDimension[]): string[] {
  const { beforeNanoUsd, afterNanoUsd } = effect;
  return [
    titles[effect.effect],
    String(effect.calls),
    ...groupBy.map((name) => effect.by[name] || "-"),
    changeOf(effect),
    beforeNanoUsd === afterNanoUsd ? usd(beforeNanoUsd) : `${usd(beforeNanoUsd)} → ${usd(afterNanoUsd)}`,
  ];
}

export function usageAsText(report: UsageReport, groupBy: readonly LedgerDimension[]): string {
  const rows = report.effects.map((effect) => cellsOf(effect, groupBy));
  const table = rows.length === 0 ? [] : [textTable([headOf(groupBy).map((name) => name.toUpperCase()), ...rows])];
  return [summary(report), ...table, ...report.notes].map((part) => `${part}\n`).join("");
}

export function usageAsMarkdown(report: UsageReport, groupBy: readonly LedgerDimension[]): string {
  const rows = report.effects.map((effect) => {
    const [title = "", count = "", ...others] = cellsOf(effect, groupBy);
    return [title, count, ...others.map((cell) => (cell === "-" ? "" : markdownCode(cell)))];
  });
  const table = rows.length === 0 ? [] : [markdownTable(headOf(groupBy), rows), ""];
  const notes = report.notes.length === 0 ? [] : [...report.notes.map((note) => `- ${markdownCell(note)}`), ""];
  return ["### What it would have done to recent calls", "", summary(report), "", ...table, ...notes].join("\n");
}

/** Money in the names and forms of reports. */
export function usageAsJson({
  fromMs,
  toMs,
  calls: all,
  sums,
  beforeNanoUsd,
  afterNanoUsd,
  effects,
  notes,
}: UsageReport): object {
  const moment = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
  return {
    from: moment(fromMs),
    to: moment(toMs),
    calls: all,
    ...sums,
    before_usd: usd(beforeNanoUsd),
    after_usd: usd(afterNanoUsd),
    effects: effects.map(({ by, beforeNanoUsd, afterNanoUsd, ...effect }) => ({
      ...by,
      ...effect,
      before_usd: usd(beforeNanoUsd),
      after_usd: usd(afterNanoUsd),
    })),
    notes,
  };
}
