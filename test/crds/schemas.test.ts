/** The JSON Schemas that `make generate` writes, as kubeconform reads them. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { apiVersion } from "../../crds/kinds.ts";
import { run } from "../harness/command.ts";
import { ensureTool, skipWithout } from "../harness/tools.ts";
import { worded } from "./mistakes.ts";
import { accepted, boundRefusals, unknownFields } from "./rows.ts";

const skip = await skipWithout("kubeconform");
const root = join(import.meta.dirname, "../..");
const location = join(root, "crds/schemas/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json");

interface Result {
  filename: string;
  status: "statusValid" | "statusInvalid" | "statusError" | "statusSkipped";
  msg: string;
}

/** Rules over several fields or over the keys of lists and maps, which JSON Schema can't state. Lint and the API server do. */
const beyond: ReadonlySet<string> = new Set([
  "two of which one is wanted",
  "none of which one is wanted",
  "a duration of what is no session",
  "a duration in a budget for all",
  "one of two that belong together",
  "a preset of another type",
  "a model twice",
  "a header twice in a condition",
  "a selector by a label that nothing can have",
  "a key without a Secret and digests",
  "a rotation of keys that are known by their digest",
]);

describe("kubeconform", { skip }, () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-schemas-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function validate(...paths: string[]): Promise<Result[]> {
    const options = ["-strict", "-verbose", "-output", "json", "-schema-location", location];
    const { stdout, stderr } = await run(await ensureTool("kubeconform"), [...options, ...paths]);
    assert.equal(stderr, "");
    return (JSON.parse(stdout) as { resources: Result[] }).resources;
  }

  /** What it says of each manifest, by name. */
  async function verdicts(manifests: Readonly<Record<string, string>>): Promise<Map<string, string>> {
    const names = Object.keys(manifests);
    const files = await Promise.all(
      names.map(async (name, at) => {
        const file = join(folder, `${at}.yaml`);
        await writeFile(file, manifests[name] ?? "");
        return file;
      }),
    );
    const results = await validate(...files);
    return new Map(
      names.map((name, index) => {
        const found = results.filter(({ filename }) => filename === files[index]);
        return [name, found.map(({ status }) => status).join()];
      }),
    );
  }

  const asManifest = ({ kind, spec }: { kind: string; spec: unknown }): string =>
    JSON.stringify({ apiVersion, kind, metadata: { name: "one" }, spec });
  const all = (rows: Readonly<Record<string, { kind: string; spec: unknown }>>): Record<string, string> =>
    Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, asManifest(row)]));
  const named = (found: ReadonlyMap<string, string>, status: string): string[] =>
    [...found].filter(([, one]) => one !== status).map(([name, one]) => `${name}: ${one}`);

  const passed = (found: ReadonlyMap<string, string>): string[] =>
    named(found, "statusInvalid").filter((one) => !beyond.has(one.replace(/: \w+$/, "")));

  it("passes what the API server takes", async () => {
    assert.deepEqual(named(await verdicts(all(accepted)), "statusValid"), []);
  });

  it("passes every example", async () => {
    const results = await validate(
      "-skip",
      "ExternalSecret,Kustomization,Namespace,Secret",
      join(root, "examples/teams"),
      join(root, "examples/budgets"),
      join(root, "examples/alerts"),
      join(root, "examples/phases"),
      join(root, "examples/quickstart"),
    );
    const ours = results.filter(({ status }) => status !== "statusSkipped");
    assert.ok(ours.length >= 15);
    assert.deepEqual(
      ours.filter(({ status }) => status !== "statusValid"),
      [],
    );
  });

  it("refuses a value in the wrong form", async () => {
    const manifests = Object.fromEntries(Object.entries(worded).map(([name, { manifest }]) => [name, manifest]));
    assert.deepEqual(passed(await verdicts(manifests)), []);
  });

  it("refuses what is out of bounds, of the wrong type or unknown", async () => {
    assert.deepEqual(passed(await verdicts(all({ ...boundRefusals, ...unknownFields }))), []);
  });
});
