/** `sluice lint FOLDER…`: what an API server and the operator would report about the manifests, with file and line. */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { compileFolder, formatFinding, unpricedModels } from "../operator/folder/compile-folder.ts";

export const lintUsage = `sluice lint FOLDER…: check manifests offline

Prints file:line:column, severity, the rule broken and how to mend it. Exits 1 when there is an error.

  -o, --output FORMAT   text (default) or json`;

/**
 * Nothing is published offline, so any pepper will do; but one that everybody knows would let a dictionary find the
 * secret behind a digest that is printed.
 */
export const offlinePepper = new Uint8Array(randomBytes(32));

/** Variables that Secrets use may be unset when a pull request is checked: their names replace their values. */
export const offlineEnvironment = new Proxy<Record<string, string | undefined>>(
  {},
  { get: (_, name) => `\${${String(name)}}` },
);

export async function runLint(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { output: { type: "string", short: "o", default: "text" }, help: { type: "boolean" } },
  });
  if (values.help === true || positionals.length === 0) {
    process.stdout.write(`${lintUsage}\n`);
    process.exitCode = values.help === true ? 0 : 2;
    return;
  }
  if (values.output !== "text" && values.output !== "json") {
    process.stderr.write(`sluice lint: --output is text or json, not ${values.output}\n`);
    process.exitCode = 2;
    return;
  }
  const { findings, compiled } = await compileFolder(positionals, offlineEnvironment, offlinePepper, null, Date.now());
  if (values.output === "json") process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
  else {
    for (const one of findings) process.stdout.write(`${formatFinding(one)}\n`);
    process.stdout.write(`${compiled.verdicts.length} objects, ${findings.length} findings\n`);
    for (const text of unpricedModels(compiled)) process.stdout.write(`${text}\n`);
  }
  // A CI check of the wrong folder must not pass.
  if (compiled.verdicts.length === 0 && findings.length === 0)
    throw new Error(`no object of Sluice is in ${positionals.join(", ")}; *.yaml, *.yml and *.json are read`);
  if (findings.some((one) => one.severity === "error")) process.exitCode = 1;
}
