/** Lint findings in machine-readable formats. Pure. */
import { formatFinding, type LintFinding } from "../operator/folder/compile-folder.ts";

const inMessage = (text: string): string => text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
const inProperty = (text: string): string => inMessage(text).replaceAll(":", "%3A").replaceAll(",", "%2C");

/** https://docs.github.com/actions/reference/workflow-commands-for-github-actions */
function github({ file, line, column, severity, reason, message, object }: LintFinding): string {
  const title = object === "" ? reason : `${reason} (${object})`;
  const place = line === 0 ? "" : `,line=${line},col=${column}`;
  return `::${severity} file=${inProperty(file)}${place},title=${inProperty(title)}::${inMessage(message)}`;
}

/** https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html */
function sarif(findings: readonly LintFinding[]): object {
  const rules = [...new Set(findings.map(({ reason }) => reason))].sort().map((id) => ({ id }));
  const results = findings.map(({ file, line, column, severity, reason, message, object }) => ({
    ruleId: reason,
    level: severity,
    message: { text: object === "" ? message : `${object}: ${message}` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: encodeURI(file) },
          ...(line === 0 ? {} : { region: { startLine: line, startColumn: Math.max(1, column) } }),
        },
      },
    ],
  }));
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [{ tool: { driver: { name: "sluice", rules } }, columnKind: "utf16CodeUnits", results }],
  };
}

export const lintFormats = {
  text: (findings: readonly LintFinding[]): string => findings.map((finding) => `${formatFinding(finding)}\n`).join(""),
  json: (findings: readonly LintFinding[]): string => `${JSON.stringify(findings, null, 2)}\n`,
  github: (findings: readonly LintFinding[]): string => findings.map((finding) => `${github(finding)}\n`).join(""),
  sarif: (findings: readonly LintFinding[]): string => `${JSON.stringify(sarif(findings), null, 2)}\n`,
};

export const isLintFormat = (name: string): name is keyof typeof lintFormats => Object.hasOwn(lintFormats, name);
