/** What `sluice explain` prints for people. */
import type { Explanation } from "../proxy/pipeline/explain.ts";
import type { TargetReport } from "../proxy/pipeline/explain-targets.ts";
import { type SessionReport, timeSpan } from "../proxy/pipeline/session-time.ts";

function line(report: TargetReport): string {
  const place = report.place === null ? "-" : `${report.place}.`;
  const refuses = report.refuses === null ? "" : `; would refuse: ${report.refuses}`;
  const dropped = report.dropped.length === 0 ? "" : `; without ${report.dropped.join(", ")}`;
  const model = report.upstreamModel === null ? "" : ` ${report.upstreamModel}`;
  const server = report.server === null ? "" : `\n      server: ${report.server}`;
  return `  ${place.padEnd(3)} ${report.target} (${report.provider}${model}): ${report.why}${refuses}${dropped}${server}`;
}

const sessionLine = ({ name, maxMs, by }: SessionReport): string =>
  maxMs === null ? name : `${name}, which may last ${timeSpan(maxMs)} from its first call, by ${by}`;

export function formatExplanation(explanation: Explanation, notes: readonly string[]): string {
  const lines = [
    `caller    ${explanation.key === null ? "no usable key" : `${explanation.key}, user ${explanation.user}`}`,
  ];
  if (explanation.operation !== null) lines.push(`operation ${explanation.operation}`);
  lines.push(`model     ${explanation.model ?? "none named"}`, `route     ${explanation.route ?? "none"}`);
  if (explanation.session !== null) lines.push(`session   ${sessionLine(explanation.session)}`);
  if (explanation.failure !== null)
    lines.push(`refused   ${explanation.failure.status} ${explanation.failure.code}: ${explanation.failure.message}`);
  for (const { target, status, code, message } of explanation.sometimes)
    lines.push(`sometimes refused, when ${target} comes first: ${status} ${code}: ${message}`);
  if (explanation.targets.length > 0) lines.push("targets", ...explanation.targets.map(line));
  if (explanation.shadow !== null) lines.push(`shadow    ${explanation.shadow}`);
  if (explanation.rules.length > 0)
    lines.push("rules", ...explanation.rules.map((rule) => `  ${`${rule.rule}.`.padEnd(3)} ${rule.why}`));
  if (explanation.routes.length > 0)
    lines.push(
      "routes",
      ...explanation.routes.map((route) => `  ${route.chosen ? "*" : "-"} ${route.route}: ${route.why}`),
    );
  if (notes.length > 0) lines.push("notes", ...notes.map((note) => `  ${note}`));
  return lines.join("\n");
}
