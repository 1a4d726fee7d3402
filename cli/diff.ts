/** `sluice diff BEFORE AFTER`: how a change of manifests would change what is served. */
import { isDeepStrictEqual, parseArgs } from "node:util";
import type { Kind } from "../crds/kinds.ts";
import { formatFinding, type LintFinding } from "../operator/folder/compile-folder.ts";
import type { RenderedConfig } from "../proxy/config/schema.ts";
import { cliErrorText } from "./cli-error.ts";
import { hasMembers } from "./has-members.ts";
import { offlineOptions, offlineUsage, readOffline } from "./offline-options.ts";
import { markdownCell, markdownCode, markdownTable } from "./tables.ts";
import { usageBetween } from "./usage/between.ts";
import type { UsageReport } from "./usage/effects.ts";
import { usageGroups, usageOptions, usageRows, usageUsage } from "./usage/options.ts";
import { usageAsJson, usageAsMarkdown, usageAsText } from "./usage/output.ts";

export const diffUsage = `sluice diff BEFORE AFTER: compare what two folders of manifests would serve

AFTER is compiled as it would be on top of BEFORE, last good forms included. Secrets are compared, never shown.
Exits 0 if nothing changes, 1 if something does, 2 if AFTER has errors or can't be read.

  -o, --output FORMAT   text (default), json, or markdown for the comment on a pull request
${usageUsage}
${offlineUsage}`;

export interface Change {
  /** `Kind namespace/name`. */
  object: string;
  what: "added" | "removed" | "changed";
  /** The changed fields: path and both values as JSON, null for a missing value. */
  fields: { path: string; before: string | null; after: string | null }[];
}

/** Names derived from secrets: the output may show only that they differ. */
const digests = /^(digest$|previous\.digest$|credentials\.|(tls|tokenTls)\.clientCertificate)/;

/** A `tls` that is added or removed as a whole contains such names. */
const masked = (value: unknown): string =>
  JSON.stringify(value, (name, member: unknown) =>
    name === "clientCertificate" && member !== null ? "(secret)" : member,
  );

function fieldsOf(before: unknown, after: unknown, path: string): Change["fields"] {
  if (isDeepStrictEqual(before, after)) return [];
  if (hasMembers(before) && hasMembers(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return names.flatMap((name) => fieldsOf(before[name], after[name], path === "" ? name : `${path}.${name}`));
  }
  const shown = (value: unknown): string | null =>
    value === undefined ? null : digests.test(path) ? "(secret)" : masked(value);
  return [{ path, before: shown(before), after: shown(after) }];
}

const parts: readonly { kind: Kind; of(config: RenderedConfig): readonly { id: string }[] }[] = [
  { kind: "LLMProvider", of: (config) => config.providers },
  { kind: "RoutingPolicy", of: (config) => config.routes },
  { kind: "Budget", of: (config) => config.budgets },
  { kind: "ApiKey", of: (config) => config.keys },
];

/** Pure. Sorted by kind, then by id. */
export function changesBetween(before: RenderedConfig, after: RenderedConfig): Change[] {
  return parts.flatMap(({ kind, of: objectsOf }) => {
    const old = new Map(objectsOf(before).map((object) => [object.id, object]));
    const now = new Map(objectsOf(after).map((object) => [object.id, object]));
    return [...new Set([...old.keys(), ...now.keys()])].sort().flatMap((id): Change[] => {
      const what = !old.has(id) ? "added" : !now.has(id) ? "removed" : "changed";
      const fields = what === "changed" ? fieldsOf(old.get(id), now.get(id), "") : [];
      return what === "changed" && fields.length === 0 ? [] : [{ object: `${kind} ${id}`, what, fields }];
    });
  });
}

const signs = { added: "+", removed: "-", changed: "~" } as const;

function formatChange({ object, what, fields }: Change): string {
  const lines = fields.map(({ path, before, after }) => `    ${path}: ${before ?? "(none)"} → ${after ?? "(none)"}`);
  return [`${signs[what]} ${object}`, ...lines].join("\n");
}

/** Markdown for GitHub and GitLab. */
export function markdownOf(changes: readonly Change[], findings: readonly LintFinding[]): string {
  const problems = findings.map((finding) => `- ${markdownCell(formatFinding(finding))}`);
  const rows = changes.flatMap(({ object, what, fields }) =>
    fields.length === 0
      ? [[markdownCode(object), what, ""]]
      : fields.map(({ path, before, after }) => [
          markdownCode(object),
          markdownCode(path),
          `${markdownCode(before ?? "(none)")} → ${markdownCode(after ?? "(none)")}`,
        ]),
  );
  return [
    "### LLM gateway",
    "",
    ...(problems.length === 0 ? [] : ["**Errors:**", "", ...problems, ""]),
    rows.length === 0 ? "Nothing that is served changes." : markdownTable(["object", "field", "change"], rows),
    "",
  ].join("\n");
}

const errors = (findings: readonly LintFinding[]): LintFinding[] =>
  findings.filter((finding) => finding.severity === "error");

interface Comparison {
  changes: Change[];
  findings: LintFinding[];
  /** null unless usage was given. */
  usage: UsageReport | null;
}

async function compare(before: string, after: string, values: Values): Promise<Comparison> {
  const nowMs = Date.now();
  const old = await readOffline([before], values, nowMs);
  const now = await readOffline([after], values, nowMs, old.compiled.config);
  const rows = await usageRows(values);
  const configs = { before: old.compiled.config, after: now.compiled.config };
  return {
    changes: changesBetween(configs.before, configs.after),
    findings: errors(now.findings),
    usage: rows === null ? null : usageBetween(rows, { ...configs, nowMs, groupBy: usageGroups(values) }),
  };
}

const options = {
  output: { type: "string", short: "o", default: "text" },
  ...usageOptions,
  ...offlineOptions,
  help: { type: "boolean" },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>["values"];

const outputs: Readonly<Record<string, (compared: Comparison, values: Values) => string>> = {
  text: ({ changes, usage }, values) => {
    const lines = changes.map((change) => `${formatChange(change)}\n`).join("");
    return usage === null ? lines : `${lines}${lines === "" ? "" : "\n"}${usageAsText(usage, usageGroups(values))}`;
  },
  json: ({ changes, usage }) =>
    `${JSON.stringify(usage === null ? changes : { changes, usage: usageAsJson(usage) }, null, 2)}\n`,
  markdown: ({ changes, findings, usage }, values) =>
    `${markdownOf(changes, findings)}${usage === null ? "" : `\n${usageAsMarkdown(usage, usageGroups(values))}`}`,
};

export async function runDiff(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options });
  const [before, after, ...more] = positionals;
  const print = Object.hasOwn(outputs, values.output) ? outputs[values.output] : undefined;
  if (values.help === true || before === undefined || after === undefined || more.length > 0 || print === undefined) {
    process.stdout.write(`${diffUsage}\n`);
    process.exitCode = values.help === true ? 0 : 2;
    return;
  }
  const compared = await compare(before, after, values).catch((cause: unknown) =>
    cause instanceof Error ? cause : new Error(String(cause)),
  );
  if (compared instanceof Error) {
    process.stderr.write(`sluice diff: ${cliErrorText("diff", compared)}\n`);
    process.exitCode = 2;
    return;
  }
  for (const finding of compared.findings) process.stderr.write(`${formatFinding(finding)}\n`);
  process.stdout.write(print(compared, values));
  process.exitCode = compared.findings.length > 0 ? 2 : compared.changes.length > 0 ? 1 : 0;
}
