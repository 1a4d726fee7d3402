/** CSV as RFC 4180 has it. */

/** A cell that a spreadsheet would evaluate as a formula is made text. */
function csvCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export const csvLine = (cells: readonly (string | number)[]): string =>
  cells.map((cell) => csvCell(String(cell))).join(",");
