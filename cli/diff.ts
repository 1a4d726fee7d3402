/** `sluice diff BEFORE AFTER`: how a change of manifests would change what is served. */
import { isDeepStrictEqual, parseArgs } from "node:util";
import type { Kind } from "../crds/kinds.ts";
import { compileFolder, formatFinding, type LintFinding } from "../operator/folder/compile-folder.ts";
import type { RenderedConfig } from "../proxy/config/schema.ts";
import { cliErrorText } from "./cli-error.ts";
import { offlineEnvironment, offlinePepper } from "./lint.ts";

export const diffUsage = `sluice diff BEFORE AFTER: compare what two folders of manifests would serve

AFTER is compiled as it would be on top of BEFORE, last good forms included. Secrets are compared, never shown.
Exits 0 where nothing changes, 1 where something does, 2 where AFTER has errors or can't be read.

  -o, --output FORMAT   text (default) or json`;

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

const errors = (findings: readonly LintFinding[]): LintFinding[] => findings.filter((one) => one.severity === "error");

async function compare(before: string, after: string): Promise<{ changes: Change[]; findings: LintFinding[] }> {
  const nowMs = Date.now();
  const old = await compileFolder([before], offlineEnvironment, offlinePepper, null, nowMs);
  const now = await compileFolder([after], offlineEnvironment, offlinePepper, old.compiled.config, nowMs);
  return { changes: changesBetween(old.compiled.config, now.compiled.config), findings: errors(now.findings) };
}

export async function runDiff(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { output: { type: "string", short: "o", default: "text" }, help: { type: "boolean" } },
  });
  const [before, after, ...more] = positionals;
  const asked = values.output === "text" || values.output === "json";
  if (values.help === true || before === undefined || after === undefined || more.length > 0 || !asked) {
    process.stdout.write(`${diffUsage}\n`);
    process.exitCode = values.help === true ? 0 : 2;
    return;
  }
  const compared = await compare(before, after).catch((cause: unknown) =>
    cause instanceof Error ? cause : new Error(String(cause)),
  );
  if (compared instanceof Error) {
    process.stderr.write(`sluice diff: ${cliErrorText("diff", compared)}\n`);
    process.exitCode = 2;
    return;
  }
  const { changes, findings } = compared;
  for (const one of findings) process.stderr.write(`${formatFinding(one)}\n`);
  if (values.output === "json") process.stdout.write(`${JSON.stringify(changes, null, 2)}\n`);
  else for (const change of changes) process.stdout.write(`${formatChange(change)}\n`);
  process.exitCode = findings.length > 0 ? 2 : changes.length > 0 ? 1 : 0;
}
