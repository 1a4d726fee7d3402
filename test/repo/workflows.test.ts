/** The workflows of the forge: what they run exists, and what they use is pinned. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";

const root = join(import.meta.dirname, "../..");
const makefile = readFileSync(join(root, "Makefile"), "utf8");

interface Step {
  uses?: string;
  run?: string;
}
interface Job {
  "timeout-minutes"?: number;
  needs?: string | string[];
  steps: Step[];
}
interface Workflow {
  permissions: unknown;
  jobs: Record<string, Job>;
}

/** Lines of a workflow's jobs, and what they stand for. */
const commandsOf = (file: string): string => {
  const { jobs }: Workflow = parse(readFileSync(join(root, file), "utf8"));
  const runs = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run = [] }) => run));
  return runs.join("\n").replaceAll("bash .ci/run", "make check");
};

describe("the lanes of CONTRIBUTING.md", () => {
  const text = readFileSync(join(root, "CONTRIBUTING.md"), "utf8");
  const rows = [...text.matchAll(/^\| (`make .*?) \| (.*?) \|$/gm)];
  it("are looked at", () => assert.ok(rows.length >= 4));
  for (const [, targets = "", where = ""] of rows)
    for (const [, file = ""] of where.matchAll(/`([\w./-]+\.yaml)`/g))
      it(`run where it says: ${targets} in ${file}`, () => {
        const commands = commandsOf(file.startsWith(".") ? file : `.github/workflows/${file}`);
        for (const [, target] of targets.matchAll(/`(make [a-z0-9-]+)`/g))
          assert.match(commands, new RegExp(`${target}(?![a-z0-9-])`), file);
      });
});

it("a release is published only after every test and the end-to-end lane", () => {
  const { jobs }: Workflow = parse(readFileSync(join(root, ".github/workflows/release.yaml"), "utf8"));
  assert.deepEqual(jobs["image"]?.needs, ["check", "e2e"]);
  assert.equal(jobs["chart"]?.needs, "image");
  assert.match(commandsOf(".github/workflows/release.yaml"), /make check[\s\S]*make e2e/);
});

describe("workflows", () => {
  const files = globSync(join(root, ".github/workflows/*.yaml"));
  it("are looked at", () => assert.ok(files.length >= 2));
  for (const file of files) {
    const text = readFileSync(file, "utf8");
    const workflow: Workflow = parse(text);
    const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);
    it(`pin every action by its commit: ${file.slice(root.length + 1)}`, () => {
      assert.deepEqual(
        steps.flatMap(({ uses }) => uses ?? []).filter((uses) => !/@[0-9a-f]{40}$/.test(uses)),
        [],
      );
    });
    it(`start without rights, end in time, and name no registry: ${file.slice(root.length + 1)}`, () => {
      assert.deepEqual(workflow.permissions, { contents: "read" });
      for (const job of Object.values(workflow.jobs)) assert.ok(job["timeout-minutes"]);
      assert.doesNotMatch(text, /ghcr\.io|docker\.io|quay\.io/);
    });
    it(`call only make targets that exist: ${file.slice(root.length + 1)}`, () => {
      const targets = steps.flatMap(({ run = "" }) => [...run.matchAll(/\bmake (?:-s )?([a-z0-9-]+)/g)]);
      for (const [, target] of targets) assert.match(makefile, new RegExp(`^${target}:`, "m"));
    });
  }
});
