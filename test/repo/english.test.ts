/**
 * Words that make comments, messages and docs harder to read than they need to be. Each has a reason and something to
 * write instead. The list is short on purpose: it holds habits of this code base, not a style guide.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

const root = join(import.meta.dirname, "../..");

const words: readonly { word: RegExp; instead: string }[] = [
  { word: /\banew\b/i, instead: "archaic: write 'again', or name what is new" },
  { word: /\bwhoever\b|\bwhosever\b/i, instead: "hides the subject: name who it is, such as 'the caller'" },
  { word: /\bso (?:many|much|often|long)\b(?! (?:as|that)\b)/i, instead: "vague: give the number, or 'this many'" },
  { word: /\bcomes? about\b/i, instead: "write 'happens', or name the failure" },
  { word: /\bwhat is the case\b|\bwhat is wanted\b/i, instead: "write 'observed state' or 'desired state'" },
  { word: /\bbeside\b/i, instead: "write 'next to', 'in addition to' or 'with'" },
  { word: /\bheard?\b(?= (?:of|from|that)\b)/i, instead: "write 'is notified of' or 'receives'" },
  {
    word: /\bis to be told\b|\bare told\b|\bis told\b|\bwas told\b|\bbeen told\b|\btold of\b/i,
    instead: "write 'notified', 'reported' or 'shown'",
  },
  { word: /\bone's own\b/i, instead: "name the owner, or write 'self-hosted' or 'custom'" },
  { word: /\bwithout a word\b/i, instead: "write 'silently'" },
  { word: /\bnow and then\b/i, instead: "write 'at intervals', or give the interval" },
  { word: /\bagain and again\b/i, instead: "write 'repeatedly', or 'keeps failing'" },
  { word: /\bneed be\b/i, instead: "write 'if necessary'" },
];

const files = execFileSync("git", ["ls-files", "-z", "*.ts", "*.md", "*.yaml", "*.tpl", "*.txt"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\0")
  .filter((file) => file !== "" && !/\.generated\.ts$|^test\/tools\/|^test\/repo\/english\.test\.ts$/.test(file));

describe("plain English", () => {
  for (const { word, instead } of words)
    it(`does without ${word.source}`, () => {
      const lines = files.flatMap((file) =>
        readFileSync(join(root, file), "utf8")
          .split("\n")
          .flatMap((line, index) => (word.test(line) ? [`${file}:${index + 1}: ${line.trim().slice(0, 100)}`] : [])),
      );
      assert.deepEqual(lines, [], instead);
    });
});
