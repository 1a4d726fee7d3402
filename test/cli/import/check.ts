/** What the tests of all importers share: an import as a few lines of text, and what `sluice lint` says of it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { importDocuments } from "../../../cli/import/input.ts";
import type { ImportedObject, ImportedSecret, Manifests, Spec } from "../../../cli/import/manifests.ts";
import { outputFiles, outputStream, writeFiles } from "../../../cli/import/output.ts";
import { type ReportLine, textReport } from "../../../cli/import/report.ts";
import { type ImportResult, importWith } from "../../../cli/import/source.ts";
import { importSources } from "../../../cli/import/sources.ts";
import { offlineEnvironment, offlinePepper } from "../../../cli/offline-options.ts";
import { compileOffline } from "../../../operator/folder/compile-offline.ts";

export interface ImportCase {
  title: string;
  source: string;
  /** File name → text. */
  files: Record<string, string>;
  env?: Record<string, string>;
  /** The objects, in the words of `objectLines`. */
  want: string[];
  /** Parts of the report: `outcome path: note`, of which each must be there. */
  says?: string[];
  /** Texts that are secret: they must be in Secrets only. */
  secrets?: string[];
}

export function importCase({ source, files, env = {} }: Pick<ImportCase, "source" | "files" | "env">): ImportResult {
  const known = importSources.find(({ name }) => name === source);
  if (known === undefined) throw new Error(`no source ${source}`);
  const documents = Object.entries(files).flatMap(([name, text]) => importDocuments({ name, text }));
  return importWith(known, documents, { env });
}

const part = (name: string, value: unknown): string => (value === undefined ? "" : ` ${name}=${plain(value)}`);

/** Short, and without quotes. */
function plain(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(plain).join(",")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  return `{${Object.entries(value)
    .map(([name, below]) => `${name}:${plain(below)}`)
    .join(",")}}`;
}

const rest = (spec: Spec, shown: readonly string[]): string =>
  Object.entries(spec)
    .filter(([name]) => !shown.includes(name))
    .map(([name, value]) => part(name, value))
    .join("");

function modelLine({ name, upstream, ...more }: Spec): string {
  const facts = Object.keys(more).length === 0 ? "" : plain(more);
  return `${String(name)}${upstream === undefined ? "" : `<${String(upstream)}>`}${facts}`;
}

function targetLine({ provider, model, priority, weight }: Spec): string {
  const rank = priority === undefined ? (weight === undefined ? "" : `*${String(weight)}`) : `#${String(priority)}`;
  return `${(provider as { name: string }).name}${model === undefined ? "" : `/${String(model)}`}${rank}`;
}

const lineOf: Readonly<Record<ImportedObject["kind"], (spec: Spec) => string>> = {
  LLMProvider: (spec) => {
    const { type, preset, models } = spec;
    const service = preset === undefined ? String(type) : `${String(type)}/${String(preset)}`;
    return `${service} ${(models as Spec[]).map(modelLine).join(" ")}${rest(spec, ["type", "preset", "models"])}`;
  },
  RoutingPolicy: (spec) => {
    const { strategy, targets, ...routing } = spec["routing"] as Spec;
    const where = plain(spec["match"]);
    const to = (targets as Spec[]).map(targetLine).join(" ");
    return `${where} ${String(strategy)} ${to}${rest(routing, [])}${rest(spec, ["match", "routing"])}`;
  },
  Budget: (spec) => rest(spec, []).trim(),
  ApiKey: (spec) => rest(spec, []).trim(),
};

const secretLine = ({ name, values }: ImportedSecret): string =>
  `Secret ${name}: ${[...values].map(([key, value]) => `${key}${"env" in value ? `=$${value.env}` : "clear" in value ? "=***" : "=?"}`).join(" ")}`;

/** One line for each object. */
export const objectLines = ({ objects, secrets, helmValues }: Manifests): string[] => [
  ...objects.map(({ kind, name, spec }) => `${kind} ${name}: ${lineOf[kind](spec)}`),
  ...secrets.map(secretLine),
  ...(Object.keys(helmValues).length === 0 ? [] : [`Helm ${plain(helmValues)}`]),
];

export const reportTexts = (report: readonly ReportLine[]): string[] =>
  report.map(({ outcome, path, note }) => `${outcome} ${path}: ${note}`);

/** Everything that an import prints without --output. */
export const printed = ({ manifests, report }: ImportResult): string =>
  `${outputStream(manifests, "default")}${textReport(report)}${JSON.stringify(report)}`;

/** What `sluice lint` reports of the written files as errors. */
export async function lintErrors({ manifests }: ImportResult): Promise<string[]> {
  const directory = await mkdtemp(join(tmpdir(), "sluice-import-"));
  try {
    await writeFiles(directory, outputFiles(manifests, "default"));
    const { findings } = await compileOffline([join(directory, "manifests")], offlineEnvironment, {
      pepper: offlinePepper,
      previous: null,
      nowMs: Date.now(),
      secrets: "assumed",
      settings: null,
    });
    return findings
      .filter(({ severity }) => severity === "error")
      .map(({ object, message }) => `${object}: ${message}`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Paths of all values in a document that say something. */
export function* leavesOf(value: unknown, path = ""): Generator<string> {
  if (value === null || value === undefined || value === "{}" || value === "[]") return;
  if (typeof value !== "object") {
    yield path;
    return;
  }
  for (const [step, below] of Array.isArray(value) ? value.entries() : Object.entries(value))
    yield* leavesOf(below, typeof step === "number" ? `${path}[${step}]` : path === "" ? step : `${path}.${step}`);
}
