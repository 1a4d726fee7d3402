/**
 * `sluice audit verify`, `sluice audit show` and `sluice compliance-report`: commands for auditors, on files or on the
 * store.
 */

import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { type Link, readLink } from "../proxy/audit/chain.ts";
import { type ComplianceMonth, ComplianceReport } from "../proxy/audit/report.ts";
import { openBodies } from "../proxy/audit/sealed.ts";
import { auditLines } from "../proxy/audit/source.ts";
import { type Trouble, Verifier } from "../proxy/audit/verify.ts";
import { nounCount } from "../proxy/config/noun-count.ts";
import { Sealer } from "../proxy/seal/seal.ts";
import { UsageError } from "../proxy/usage-error.ts";

const where = `  PATH…                 audit files, or folders of them; those of one chain in their order
  --redis URL           the stream in the store instead, or as well; its password is read from SLUICE_STATE_PASSWORD`;

const auditUsage = `sluice audit verify PATH…: check that no record was changed, removed, added or moved

${where}
  --key-file FILE       key of the chain, if it has one (or SLUICE_AUDIT_KEY)
  --sink NAME           what wrote the files: file (default), or otlp or stdout if a collector did

Exits with 1 if something is wrong.`;

const showUsage = `sluice audit show PATH…: print records as JSON, one per line, with sealed bodies opened

${where}
  --id REQUEST_ID       only the records of one call
                        keys that open bodies are read from SLUICE_SEALING_KEYS, as proxies have them

Exits with 1 if a body can't be opened; its record has "unreadable" with the reason. It doesn't check records; use
verify for that.`;

const reportUsage = `sluice compliance-report PATH…: monthly figures for auditors, from the audit log alone

${where}
  --from, --to MOMENT   such as 2027-02-01T00:00:00Z (default: everything)
  -o, --output FORMAT   table (default), json or csv`;

/** Doesn't check whether records are intact; `verify` does. */
const plain = { digest: (): string => "" };
const password = (): string | null => process.env["SLUICE_STATE_PASSWORD"] || null;

function sourceOf(paths: readonly string[], redis: string | undefined) {
  if (paths.length === 0 && redis === undefined)
    throw new UsageError("say where the audit log is: files, folders, or --redis URL");
  return auditLines(paths, redis === undefined ? null : { url: redis, password: password() });
}

async function keyFrom(file: string | undefined): Promise<Uint8Array | null> {
  if (file !== undefined) return Buffer.from((await readFile(file, "utf8")).trimEnd());
  const key = process.env["SLUICE_AUDIT_KEY"];
  return key ? Buffer.from(key) : null;
}

const noRecords = (paths: readonly string[], redis: string | undefined): string =>
  `no audit record was found in ${[...paths, ...(redis === undefined ? [] : ["the store"])].join(", ")}; name the folder of --audit-dir, files out of it, or --redis URL`;

const maxShown = 100;

/** Files and the store are two copies, each verified separately. */
async function verify(
  paths: readonly string[],
  redis: string | undefined,
  keyFile: string | undefined,
  sink: string,
): Promise<void> {
  const key = await keyFrom(keyFile);
  const files = new Verifier(key, sink);
  const store = new Verifier(key, "redis");
  for await (const { text, where: place, torn, stored } of sourceOf(paths, redis))
    (stored ? store : files).add(text, place, torn);
  const ends = [...(paths.length > 0 ? [files.end()] : []), ...(redis === undefined ? [] : [store.end()])];
  let wrong = 0;
  for (const { records, chains, troubles, notes } of ends) {
    // No records may mean that all were deleted, or that the path is wrong: neither must pass as verified.
    if (records === 0 && troubles.length === 0) throw new Error(noRecords(paths, redis));
    list("WRONG ", troubles);
    list("note  ", notes);
    process.stdout.write(
      `${nounCount(records, "record")} in ${nounCount(chains, "chain")}: ${troubles.length === 0 ? "nothing was changed" : nounCount(troubles.length, "thing is wrong", "things are wrong")}\n`,
    );
    wrong += troubles.length;
  }
  if (wrong > 0) process.exitCode = 1;
}

function list(kind: string, lines: readonly Trouble[]): void {
  for (const { where: place, what } of lines.slice(0, maxShown)) process.stdout.write(`${kind} ${place}: ${what}\n`);
  if (lines.length > maxShown) process.stdout.write(`${kind} and ${lines.length - maxShown} more\n`);
}

/** Stops reading once the output is closed, as by `head`. */
const written = (line: string): Promise<void> =>
  new Promise((resolve, reject) => void process.stdout.write(line, (cause) => (cause ? reject(cause) : resolve())));

async function show(paths: readonly string[], redis: string | undefined, id: string | undefined): Promise<void> {
  const keys = process.env["SLUICE_SEALING_KEYS"] ?? "";
  const sealer = keys.trim() === "" ? null : new Sealer(keys);
  let unreadable = 0;
  for await (const { text, where: place } of sourceOf(paths, redis)) {
    const link = readLink(text, plain);
    if (link === null || (id !== undefined && link.record["request_id"] !== id)) continue;
    const shown = opened(link, sealer);
    if ("unreadable" in shown) {
      unreadable++;
      process.stderr.write(
        `${place}: bodies of record ${link.seq} of chain ${link.chain} can't be read: ${String(shown["unreadable"])}\n`,
      );
    }
    await written(`${JSON.stringify(shown)}\n`);
  }
  if (unreadable > 0) process.exitCode = 1;
}

function opened({ chain, seq, record }: Link, sealer: Sealer | null): Record<string, unknown> {
  const { sealed_bodies: sealed, ...rest } = record;
  if (typeof sealed !== "string") return record;
  const bodies = openBodies(sealer, chain, seq, sealed);
  return typeof bodies === "string"
    ? { ...record, unreadable: bodies }
    : { ...rest, request_body: bodies.request, response_body: bodies.response };
}

const fileSinks: readonly string[] = ["file", "otlp", "stdout"];

export async function runAudit(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      redis: { type: "string" },
      "key-file": { type: "string" },
      sink: { type: "string", default: "file" },
      id: { type: "string" },
      help: { type: "boolean" },
    },
    allowPositionals: true,
  });
  const [command, ...paths] = positionals;
  if (values.help || command === undefined) {
    process.stdout.write(`${auditUsage}\n\n${showUsage}\n`);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  if (command === "show") return show(paths, values.redis, values.id);
  if (command !== "verify") throw new UsageError(`sluice audit has verify and show, not ${command}`);
  if (!fileSinks.includes(values.sink))
    throw new UsageError(`--sink must be ${fileSinks.join(", ")}, not ${values.sink}`);
  await verify(paths, values.redis, values["key-file"], values.sink);
}

function moment(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const timeMs = Date.parse(text);
  if (Number.isNaN(timeMs)) throw new UsageError(`--${name} must be a time such as 2027-02-01T00:00:00Z, not ${text}`);
  return timeMs;
}

/** Rounds half up to cents. */
const usd = (nano: bigint): string => {
  const cents = String((nano + 5_000_000n) / 10_000_000n).padStart(3, "0");
  return `${cents.slice(0, -2)}.${cents.slice(-2)}`;
};
const listed = (counts: Iterable<[string, number]>): string =>
  [...counts].map(([name, count]) => `${name} ${count}`).join(", ");

const columns: readonly [string, (month: ComplianceMonth) => string | number][] = [
  ["month", ({ month }) => month],
  ["requests", ({ requests }) => requests],
  ["allowed", ({ allowed }) => allowed],
  ["refused", ({ refused }) => refused],
  ["unauthorised", ({ unauthorised }) => unauthorised],
  ["forbidden", ({ forbidden }) => forbidden],
  ["geo_blocked", ({ geoBlocked }) => geoBlocked],
  ["without_consent", ({ withoutConsent }) => withoutConsent],
  ["prompts_denied", ({ promptsDenied }) => promptsDenied],
  ["limited", ({ limited }) => limited],
  ["unfinished", ({ unfinished }) => unfinished],
  ["pii_masked", ({ masked }) => Object.values(masked).reduce((sum, count) => sum + count, 0)],
  ["pii_types", ({ masked }) => listed(Object.entries(masked).sort())],
  ["input_tokens", ({ inputTokens }) => inputTokens],
  ["output_tokens", ({ outputTokens }) => outputTokens],
  ["cost_usd", ({ costNanoUsd }) => usd(costNanoUsd)],
  ["users", ({ users }) => users.size],
  ["models", ({ models }) => [...models].sort().join(", ")],
  ["destinations", ({ destinations }) => listed([...destinations].sort())],
];

const csv = (cell: string | number): string =>
  /[",\n]/.test(String(cell)) ? `"${String(cell).replaceAll('"', '""')}"` : String(cell);

/** One column per month, as there are more figures than months. */
function asTable(months: readonly ComplianceMonth[]): string {
  const rows = columns.map(([name, figureOf]) => [name, ...months.map((month) => String(figureOf(month)))]);
  const widths = rows[0]?.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, index) => (index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0)))
        .join("  "),
    )
    .join("\n");
}

function printed(months: readonly ComplianceMonth[], output: string): string {
  if (output === "csv")
    return [
      columns.map(([name]) => name).join(","),
      ...months.map((month) => columns.map(([, figureOf]) => csv(figureOf(month))).join(",")),
    ].join("\n");
  if (output === "table") return asTable(months);
  const plain = months.map((month) => ({
    ...month,
    costNanoUsd: Number(month.costNanoUsd),
    users: [...month.users].sort(),
    models: [...month.models].sort(),
    destinations: Object.fromEntries([...month.destinations].sort()),
  }));
  return JSON.stringify(plain, null, 2);
}

export async function runComplianceReport(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      redis: { type: "string" },
      from: { type: "string" },
      to: { type: "string" },
      output: { type: "string", short: "o", default: "table" },
      help: { type: "boolean" },
    },
    allowPositionals: true,
  });
  if (values.help || args.length === 0) {
    process.stdout.write(`${reportUsage}\n`);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  if (!["table", "json", "csv"].includes(values.output))
    throw new UsageError(`--output must be table, json or csv, not ${values.output}`);
  const fromMs = moment("from", values.from, Number.NEGATIVE_INFINITY);
  const toMs = moment("to", values.to, Number.POSITIVE_INFINITY);
  if (fromMs >= toMs) throw new UsageError("--from must be before --to");
  const report = new ComplianceReport(fromMs, toMs);
  let records = 0;
  for await (const { text } of sourceOf(positionals, values.redis)) {
    const link = readLink(text, plain);
    if (link === null) continue;
    records++;
    report.add(link);
  }
  // Fails rather than print a report of zeros, which would be believed.
  if (records === 0) throw new Error(noRecords(positionals, values.redis));
  process.stdout.write(`${printed(report.end(), values.output)}\n`);
}
