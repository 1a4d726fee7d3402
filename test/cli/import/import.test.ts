/** Configurations of other gateways become manifests that lint accepts, and nothing of them is dropped in silence. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { importDocuments } from "../../../cli/import/input.ts";
import { cases as agentgateway } from "./cases/agentgateway.ts";
import { cases as aiGateway } from "./cases/ai-gateway.ts";
import { cases as bifrost } from "./cases/bifrost.ts";
import { cases as envoyAiGateway } from "./cases/envoy-ai-gateway.ts";
import { cases as kong } from "./cases/kong.ts";
import { cases as litellm } from "./cases/litellm.ts";
import { cases as portkey } from "./cases/portkey.ts";
import { type ImportCase, importCase, leavesOf, lintErrors, objectLines, printed, reportTexts } from "./check.ts";

const cases: readonly ImportCase[] = [
  ...agentgateway,
  ...aiGateway,
  ...bifrost,
  ...envoyAiGateway,
  ...kong,
  ...litellm,
  ...portkey,
];

/** Whether the report has the value itself, or something that holds it. */
function isReported(leaf: string, reported: ReadonlySet<string>): boolean {
  for (let path = leaf; path !== ""; path = path.replace(/(\[[0-9]+\]|\.?[^.[\]]+)$/, ""))
    if (reported.has(path)) return true;
  return false;
}

for (const one of cases)
  describe(`${one.source}: ${one.title}`, () => {
    const result = importCase(one);

    it("becomes these objects", () => assert.deepEqual(objectLines(result.manifests), one.want));

    it("passes lint", async () => assert.deepEqual(await lintErrors(result), []));

    it("has a line in the report for every value", () => {
      const reported = new Set(result.report.map(({ path }) => path));
      const missing = Object.entries(one.files).flatMap(([name, text]) =>
        importDocuments({ name, text }).flatMap(({ value }) =>
          [...leavesOf(value)].filter((leaf) => !isReported(leaf, reported)),
        ),
      );
      assert.deepEqual(missing, []);
    });

    if (one.says !== undefined)
      it("says what is different", () => {
        const texts = reportTexts(result.report);
        const unsaid = one.says?.filter((wanted) => !texts.some((text) => text.includes(wanted)));
        assert.deepEqual(unsaid, [], texts.join("\n"));
      });

    if (one.secrets !== undefined)
      it("prints no secret", () => {
        const text = printed(result);
        assert.deepEqual(
          one.secrets?.filter((secret) => text.includes(secret) || text.includes(btoa(secret))),
          [],
        );
      });
  });

it("names of cases are their own", () => {
  const titles = cases.map(({ source, title }) => `${source} ${title}`);
  assert.equal(new Set(titles).size, titles.length);
});
