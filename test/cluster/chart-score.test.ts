/** What kube-score finds in the rendered chart, with the values that add objects. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { run } from "../harness/command.ts";
import { ensureTool, skipWithout } from "../harness/tools.ts";

const skip = await skipWithout("helm", "kube-score");
const chart = join(import.meta.dirname, "../../charts/sluice");

/** Checks that the chart doesn't follow, and why. */
const otherwise = {
  "container-image-pull-policy": "versions are never published twice, so a node need not ask for an image that it has",
  "container-ephemeral-storage-request-and-limit": "an eviction for its log would cost more than the log",
  "container-security-context-user-group-id": "the image's user; OpenShift and others set their own",
  "deployment-has-host-podantiaffinity": "the scheduler spreads Pods, and a small cluster must run them",
};
/** Where sidecars can be injected. */
const injection = ["--api-versions", "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"];
const ignored = Object.keys(otherwise).flatMap((check) => ["--ignore-test", check]);

describe("the rendered chart", { skip }, () => {
  const cases: Record<string, object> = {
    "as it comes": {},
    "with everything that adds objects": {
      networkPolicy: { enabled: true },
      proxy: {
        autoscaling: { enabled: true },
        podDisruptionBudget: { enabled: true },
        tls: { secretName: "gateway" },
      },
      operator: { podDisruptionBudget: { enabled: true } },
      sidecar: { injection: { enabled: true } },
      console: { enabled: true },
      ingress: { enabled: true, hosts: ["llm.example.com"] },
    },
  };
  for (const [what, values] of Object.entries(cases))
    it(`has nothing that kube-score criticizes, ${what}`, async () => {
      const rendering = [
        "template",
        "sluice",
        chart,
        "--namespace",
        "sluice-system",
        "--skip-tests",
        ...injection,
        "-f",
        "-",
      ];
      const rendered = await run(await ensureTool("helm"), rendering, { input: JSON.stringify(values) });
      assert.equal(rendered.code, 0, rendered.stderr);
      // A CPU limit slows down calls while the node has time to spare.
      const options = ["--ignore-container-cpu-limit", ...ignored, "-o", "ci", "-"];
      const scored = await run(await ensureTool("kube-score"), ["score", ...options], { input: rendered.stdout });
      const lines = scored.stdout.split("\n");
      assert.ok(
        lines.some((line) => line.startsWith("[OK] sluice-proxy/")),
        scored.stdout + scored.stderr,
      );
      assert.deepEqual(
        lines.filter((line) => /^\[(CRITICAL|WARNING)\]/.test(line)),
        [],
      );
    });
});
