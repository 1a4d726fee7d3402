/** Numbers in messages agree with their nouns: "1 call", not "1 calls". */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { nounCount } from "../../proxy/config/noun-count.ts";

const root = join(import.meta.dirname, "../..");
const nouns =
  "calls|requests|records|rows|findings|objects|keys|Secrets|tokens|chains|cells|columns|networks|pairs|things";
/** A number in a template, then a plural noun; "3 of 4 calls" and bounds (`maxPairs`) are right for any number. */
const disagreeing = new RegExp(`(?<!of )(?<!/)\\$\\{(?!nounCount|max|spec\\.)[^{}]*\\} (?:${nouns})\\b`);

describe("a number with its noun", () => {
  for (const [count, text] of [
    [0, "0 calls"],
    [1, "1 call"],
    [2, "2 calls"],
  ] as const)
    it(text, () => assert.equal(nounCount(count, "call"), text));

  it("has the plural that is given", () => assert.equal(nounCount(3, "record is", "records are"), "3 records are"));

  it("is written by nounCount in every message", () => {
    const files = execFileSync("git", ["ls-files", "cli", "operator", "proxy", "crds"], { cwd: root, encoding: "utf8" })
      .split("\n")
      .filter((file) => file.endsWith(".ts"));
    const wrong = files.flatMap((file) =>
      readFileSync(join(root, file), "utf8")
        .split("\n")
        .flatMap((line, index) => (disagreeing.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
    );
    assert.deepEqual(wrong, []);
  });
});
