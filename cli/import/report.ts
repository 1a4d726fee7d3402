/** The outcome of each setting of an imported configuration. Never contains a value, which could be a secret. */

/**
 * Imported: means the same. Changed: means nearly the same; the note says how it differs. NotImported: has no
 * counterpart. Secret: was moved into a Secret.
 */
export type Outcome = "Imported" | "Changed" | "NotImported" | "Secret";

export type SettingPath = readonly (string | number)[];

export interface ReportLine {
  file: string;
  line: number;
  path: string;
  outcome: Outcome;
  note: string;
}

export interface Mark {
  outcome: Outcome;
  note: string;
}

/** `model_list[0].litellm_params.model` */
export function pathText(path: SettingPath): string {
  const text = path.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("");
  return text.replace(/^\./, "") || "(whole file)";
}

const words: Readonly<Record<Outcome, string>> = {
  Imported: "imported",
  Changed: "changed",
  NotImported: "not imported",
  Secret: "secret",
};

function summary(lines: readonly ReportLine[]): string {
  const counts = Object.entries(words).map(
    ([outcome, word]) => `${lines.filter((line) => line.outcome === outcome).length} ${word}`,
  );
  return counts.join(", ");
}

const manyRows = 10;

/** Merges lines of table rows with the same outcome if there are more than a few. */
function collapsed(lines: readonly ReportLine[]): ReportLine[] {
  const groups = Map.groupBy(lines, ({ file, path, outcome, note }) =>
    [file, path.replace(/\[[0-9]+\]/, "[*]"), outcome, note].join("\n"),
  );
  const seen = new Set<ReportLine[]>();
  return lines.flatMap((line) => {
    const path = line.path.replace(/\[[0-9]+\]/, "[*]");
    const group = groups.get([line.file, path, line.outcome, line.note].join("\n")) ?? [];
    if (group.length <= manyRows) return [line];
    if (seen.has(group)) return [];
    seen.add(group);
    return [{ ...line, path: `${path} (${group.length} times)` }];
  });
}

export function textReport(lines: readonly ReportLine[]): string {
  const rows = collapsed(lines).map(({ file, line, path, outcome, note }) => [
    `${file}:${line}`,
    words[outcome],
    note === "" ? path : `${path}: ${note}`,
  ]);
  const widths = [0, 1].map((column) => Math.max(0, ...rows.map((row) => (row[column] ?? "").length)));
  const table = rows.map(([place = "", word = "", text = ""]) =>
    `${place.padEnd(widths[0] ?? 0)}  ${word.padEnd(widths[1] ?? 0)}  ${text}`.trimEnd(),
  );
  return `${[...table, summary(lines)].join("\n")}\n`;
}
