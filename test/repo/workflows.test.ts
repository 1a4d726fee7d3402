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
interface Workflow {
  permissions: unknown;
  jobs: Record<string, { "timeout-minutes"?: number; steps: Step[] }>;
}

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
