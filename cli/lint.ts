/** `sluice lint FOLDER…`: what an API server and the operator would report about the manifests, with file and line. */

import { parseArgs } from "node:util";
import { unpricedModels } from "../operator/folder/compile-folder.ts";
import { nounCount } from "../proxy/config/noun-count.ts";
import { isLintFormat, lintFormats } from "./lint-output.ts";
import { assumedLine, offlineOptions, offlineUsage, readOffline } from "./offline-options.ts";

export const lintUsage = `sluice lint FOLDER…: check manifests offline

Prints file:line:column, severity, the broken rule and how to fix it. Exits 1 if there is an error. - reads standard
input, such as the output of kustomize build.

  -o, --output FORMAT   text (default), json, github (annotations of a pull request) or sarif
${offlineUsage}`;

export async function runLint(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      output: { type: "string", short: "o", default: "text" },
      ...offlineOptions,
      help: { type: "boolean" },
    },
  });
  if (values.help === true || positionals.length === 0) {
    process.stdout.write(`${lintUsage}\n`);
    process.exitCode = values.help === true ? 0 : 2;
    return;
  }
  if (!isLintFormat(values.output)) {
    process.stderr.write(
      `sluice lint: --output must be ${Object.keys(lintFormats)
        .join(", ")
        .replace(/, (\w+)$/, " or $1")}, not ${values.output}\n`,
    );
    process.exitCode = 2;
    return;
  }
  const read = await readOffline(positionals, values, Date.now());
  const { findings, compiled } = read;
  process.stdout.write(lintFormats[values.output](findings));
  if (values.output === "text") {
    const sums = `${nounCount(compiled.verdicts.length, "object")}, ${nounCount(findings.length, "finding")}`;
    for (const text of [sums, ...assumedLine(read), ...unpricedModels(compiled)]) process.stdout.write(`${text}\n`);
  }
  // A CI check of the wrong folder must not pass.
  if (compiled.verdicts.length === 0 && findings.length === 0)
    throw new Error(`no object of Sluice is in ${positionals.join(", ")}; *.yaml, *.yml and *.json are read`);
  if (findings.some((finding) => finding.severity === "error")) process.exitCode = 1;
}
