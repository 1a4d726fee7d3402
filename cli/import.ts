/** `sluice import SOURCE FILE…`: turns the configuration of another gateway into manifests. */
import { readFile } from "node:fs/promises";
import { text as readAll } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { nearest } from "../crds/parse.ts";
import { UsageError } from "../proxy/usage-error.ts";
import { unfitting } from "./import/fit.ts";
import { importDocuments } from "./import/input.ts";
import { outputFiles, outputStream, withheldSecrets, writeFiles } from "./import/output.ts";
import { type ReportLine, textReport } from "./import/report.ts";
import { type ImportResult, type ImportSource, importWith } from "./import/source.ts";
import { importSources } from "./import/sources.ts";

const sourceLines = importSources.map(({ name, files }) => `  ${name.padEnd(14)} ${files}`).join("\n");

export const importUsage = `sluice import SOURCE FILE…: turn another gateway's configuration into manifests

SOURCE and its FILEs (YAML or JSON, and CSV for tables; - reads standard input):
${sourceLines}

Prints the manifests, and on standard error a report: for each line, whether it was imported or changed, or has no counterpart.
Secrets in clear text are never printed. They are written only with --output, into a file that only you can read.

  -o, --output DIR       write DIR/manifests/*.yaml, and DIR/values.yaml if Helm values are needed; the report is printed
  -n, --namespace NAME   namespace of the objects (default: default)
  --report FORMAT        text (default) or json
  --strict               exit with 1 if anything has no counterpart
  --env NAME=VALUE       value of a variable in addresses and regions, instead of the environment's; may be repeated`;

function sourceNamed(name: string | undefined): ImportSource {
  const names = importSources.map((source) => source.name);
  const source = importSources.find((candidate) => candidate.name === name);
  if (source !== undefined) return source;
  const meant = nearest(name ?? "", names);
  throw new UsageError(
    `${name === undefined ? "name a source" : `${name} is no source`}: ${names.join(", ")}${meant === null ? "" : `; did you mean ${meant}?`}`,
  );
}

function environment(pairs: readonly string[]): Record<string, string | undefined> {
  const own = pairs.map((pair): [string, string] => {
    const index = pair.indexOf("=");
    if (index < 1) throw new UsageError("--env takes NAME=VALUE");
    return [pair.slice(0, index), pair.slice(index + 1)];
  });
  return { ...process.env, ...Object.fromEntries(own) };
}

const readInput = async (name: string): Promise<{ name: string; text: string }> => ({
  name,
  text: name === "-" ? await readAll(process.stdin) : await readFile(name, "utf8"),
});

const reportFormats: Readonly<Record<string, (lines: readonly ReportLine[]) => string>> = {
  text: textReport,
  json: (lines) => `${JSON.stringify(lines, null, 2)}\n`,
};

async function print(
  result: ImportResult,
  namespace: string,
  output: string | undefined,
  report: string,
): Promise<void> {
  const { manifests } = result;
  if (output === undefined) {
    process.stdout.write(outputStream(manifests, namespace));
    process.stderr.write(report);
    for (const { name } of withheldSecrets(manifests))
      process.stderr.write(
        `Secret ${name} has values in clear text and is not printed: use --output, or make it yourself\n`,
      );
    return;
  }
  const written = await writeFiles(output, outputFiles(manifests, namespace));
  process.stdout.write(report);
  for (const path of written) process.stdout.write(`wrote ${path}\n`);
}

export async function runImport(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      output: { type: "string", short: "o" },
      namespace: { type: "string", short: "n", default: "default" },
      report: { type: "string", default: "text" },
      strict: { type: "boolean", default: false },
      env: { type: "string", multiple: true, default: [] },
      help: { type: "boolean" },
    },
  });
  if (values.help === true || positionals.length === 0) {
    process.stdout.write(`${importUsage}\n`);
    process.exitCode = values.help === true ? 0 : 2;
    return;
  }
  const [name, ...files] = positionals;
  const source = sourceNamed(name);
  const format = Object.hasOwn(reportFormats, values.report) ? reportFormats[values.report] : undefined;
  if (format === undefined) throw new UsageError(`--report must be text or json, not ${values.report}`);
  if (files.length === 0) throw new UsageError(`name the files to import: ${source.files}`);
  const inputs = await Promise.all(files.map(readInput));
  const result = importWith(source, inputs.flatMap(importDocuments), { env: environment(values.env) });
  if (result.manifests.objects.length === 0 && result.report.length === 0)
    throw new Error(`nothing in ${files.join(", ")} is a configuration of ${source.name}`);
  const report = [...result.report, ...unfitting(result.manifests, values.namespace, files[0] ?? "")];
  await print(result, values.namespace, values.output, format(report));
  if (values.strict && report.some(({ outcome }) => outcome === "NotImported")) process.exitCode = 1;
}
