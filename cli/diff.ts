/** `sluice diff BEFORE AFTER`: how a change of manifests would change what is served. */
import { isDeepStrictEqual, parseArgs } from "node:util";
import type { Kind } from "../crds/kinds.ts";
import { formatFinding, type LintFinding } from "../operator/folder/compile-folder.ts";
import type { RenderedConfig } from "../proxy/config/schema.ts";
import { cliErrorText } from "./cli-error.ts";
import { offlineOptions, offlineUsage, readOffline } from "./offline-options.ts";

export const diffUsage = `sluice diff BEFORE AFTER: compare what two folders of manifests would serve

AFTER is compiled as it would be on top of BEFORE, last good forms included. Secrets are compared, never shown.
Exits 0 where nothing changes, 1 where something does, 2 where AFTER has errors or can't be read.

  -o, --output FORMAT   text (default), json, or markdown for the comment on a pull request
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
  JSON.stringify(value, (name, one: unknown) => (name === "clientCertificate" && one !== null ? "(secret)" : one));

function fieldsOf(before: unknown, after: unknown, path: string): Change["fields"] {
  if (isDeepStrictEqual(before, after)) return [];
  if (isRecord(before) && isRecord(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return names.flatMap((name) => fieldsOf(before[name], after[name], path === "" ? name : `${path}.${name}`));
  }
  const shown = (value: unknown): string | null =>
    value === undefined ? null : digests.test(path) ? "(secret)" : masked(value);
  return [{ path, before: shown(before), after: shown(after) }];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const parts: readonly { kind: Kind; of(config: RenderedConfig): readonly { id: string }[] }[] = [
  { kind: "LLMProvider", of: (config) => config.providers },
  { kind: "RoutingPolicy", of: (config) => config.routes },
  { kind: "Budget", of: (config) => config.budgets },
  { kind: "ApiKey", of: (config) => config.keys },
];

/** Pure. Sorted by kind, then by id. */
export function changesBetween(before: RenderedConfig, after: RenderedConfig): Change[] {
  return parts.flatMap(({ kind, of }) => {
    const old = new Map(of(before).map((one) => [one.id, one]));
    const now = new Map(of(after).map((one) => [one.id, one]));
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

/** What a table cell of Markdown can't hold as it is. */
const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ").replaceAll("`", "'");
const mostFields = 100;

/** Pure. GitHub and GitLab show it alike. */
export function markdownOf(changes: readonly Change[], findings: readonly LintFinding[]): string {
  const problems = findings.map((finding) => `- ${cell(formatFinding(finding))}`);
  const rows = changes.flatMap(({ object, what, fields }) =>
    fields.length === 0
      ? [`| \`${object}\` | ${what} | |`]
      : fields.map(
          ({ path, before, after }) =>
            `| \`${object}\` | \`${cell(path)}\` | \`${cell(before ?? "(none)")}\` → \`${cell(after ?? "(none)")}\` |`,
        ),
  );
  const more = rows.length > mostFields ? [`| and ${rows.length - mostFields} more | | |`] : [];
  const table = ["| object | field | change |", "| --- | --- | --- |", ...rows.slice(0, mostFields), ...more];
  return [
    "### LLM gateway",
    "",
    ...(problems.length === 0 ? [] : ["**Errors:**", "", ...problems, ""]),
    ...(rows.length === 0 ? ["Nothing that is served changes."] : table),
    "",
  ].join("\n");
}

const errors = (findings: readonly LintFinding[]): LintFinding[] =>
  findings.filter((finding) => finding.severity === "error");

async function compare(
  before: string,
  after: string,
  values: Parameters<typeof readOffline>[1],
): Promise<{ changes: Change[]; findings: LintFinding[] }> {
  const nowMs = Date.now();
  const old = await readOffline([before], values, nowMs);
  const now = await readOffline([after], values, nowMs, old.compiled.config);
  return { changes: changesBetween(old.compiled.config, now.compiled.config), findings: errors(now.findings) };
}

export async function runDiff(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      output: { type: "string", short: "o", default: "text" },
      ...offlineOptions,
      help: { type: "boolean" },
    },
  });
  const [before, after, ...more] = positionals;
  const asked = ["text", "json", "markdown"].includes(values.output);
  if (values.help === true || before === undefined || after === undefined || more.length > 0 || !asked) {
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
  const { changes, findings } = compared;
  for (const finding of findings) process.stderr.write(`${formatFinding(finding)}\n`);
  if (values.output === "json") process.stdout.write(`${JSON.stringify(changes, null, 2)}\n`);
  else if (values.output === "markdown") process.stdout.write(markdownOf(changes, findings));
  else for (const change of changes) process.stdout.write(`${formatChange(change)}\n`);
  process.exitCode = findings.length > 0 ? 2 : changes.length > 0 ? 1 : 0;
}
