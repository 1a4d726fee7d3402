/** Tables for terminals and for comments on pull requests. Pure. */

/** Columns are as wide as their widest cell. */
export function textTable(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("   ")
        .trimEnd(),
    )
    .join("\n");
}

/** Escapes text for a cell of a Markdown table. */
export const markdownCell = (text: string): string =>
  text.replaceAll("|", "\\|").replaceAll("\n", " ").replaceAll("`", "'");

/** Text as inline code, so that it isn't taken for markup. */
export const markdownCode = (text: string): string => (text === "" ? "" : `\`${markdownCell(text)}\``);

const markdownLine = (cells: readonly string[]): string =>
  `|${cells.map((cell) => (cell === "" ? " |" : ` ${cell} |`)).join("")}`;
const maxRows = 100;

/** A comment has room for the first rows only. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const left = rows.length - maxRows;
  const more = left > 0 ? [markdownLine([`and ${left} more`, ...head.slice(1).map(() => "")])] : [];
  const lines = [head, head.map(() => "---"), ...rows.slice(0, maxRows)].map(markdownLine);
  return [...lines, ...more].join("\n");
}
