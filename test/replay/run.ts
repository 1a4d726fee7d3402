/** `make replay`: prints what callers get through the gateway and what they would get without it. Exits 1 below 99.9 %. */
import { outage, phases, type Row, replay } from "./scenario.ts";

const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(2)} %`;

function print(rows: readonly Row[]): void {
  const cells = [
    ["phase", "calls", "direct", "through the gateway", "attempts a call", "by the secondary", "p95 first byte"],
    ...rows.map((row) => [
      row.phase,
      String(row.calls),
      percent(row.direct, row.calls),
      percent(row.gateway, row.calls),
      (row.attempts / row.calls).toFixed(2),
      row.gateway === 0 ? "-" : percent(row.bySecondary, row.gateway),
      `${row.p95Ms} ms`,
    ]),
  ];
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  for (const line of cells)
    console.log(
      line
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  "),
    );
}

const wanted = 0.999;
const result = await replay(phases);
print([...result.rows, result.total]);
const down = await replay(outage);
console.log();
print(down.rows);
console.log(
  `attempts with every provider down: ${down.upstreamCalls.primary} at the primary, ${down.upstreamCalls.secondary} at the secondary`,
);
if (result.total.gateway / result.total.calls < wanted) {
  console.error(`fewer than ${wanted * 100} % of the calls succeed`);
  process.exitCode = 1;
}
