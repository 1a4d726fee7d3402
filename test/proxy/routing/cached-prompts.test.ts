/** What targets are expected to have in their caches. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Usage } from "../../../proxy/dialects/canonical.ts";
import { CachedPrompts } from "../../../proxy/routing/cached-prompts.ts";

const minute = 60_000;
const usage = (cachedPrompt: number, cacheWrite = 0, units?: Usage["units"]): Usage => ({
  ...{ prompt: 1_000, cachedPrompt, cacheWrite, completion: 1, reasoning: 0, estimated: false },
  ...(units === undefined ? {} : { units }),
});

describe("the cached prompt of a session", () => {
  const rows: {
    name: string;
    answers: [target: string, usage: Usage, minutes: number][];
    minutes: number;
    expected: number;
  }[] = [
    { name: "is nothing at first", answers: [], minutes: 0, expected: 0 },
    { name: "is what was read and written", answers: [["a", usage(600, 300), 0]], minutes: 4, expected: 900 },
    { name: "goes after five minutes", answers: [["a", usage(600), 0]], minutes: 5, expected: 0 },
    {
      name: "is kept by each answer",
      answers: [
        ["a", usage(600), 0],
        ["a", usage(700), 4],
      ],
      minutes: 8,
      expected: 700,
    },
    {
      name: "lasts for an hour if it was written for one",
      answers: [["a", usage(0, 500, { cacheWrite1h: 500 }), 0]],
      minutes: 59,
      expected: 500,
    },
    {
      name: "is renewed for an hour by reading it",
      answers: [
        ["a", usage(0, 500, { cacheWrite1h: 500 }), 0],
        ["a", usage(500), 50],
      ],
      minutes: 100,
      expected: 500,
    },
    {
      name: "is each target's own",
      answers: [
        ["a", usage(600), 0],
        ["b", usage(0), 1],
      ],
      minutes: 2,
      expected: 600,
    },
    {
      name: "is nothing once an answer reports none",
      answers: [
        ["a", usage(600), 0],
        ["a", usage(0), 1],
      ],
      minutes: 2,
      expected: 0,
    },
  ];
  for (const { name, answers, minutes, expected } of rows)
    it(name, () => {
      const prompts = new CachedPrompts();
      for (const [target, reported, at] of answers) prompts.note("s", target, reported, at * minute);
      assert.equal(prompts.tokens("s", "a", minutes * minute), expected);
      assert.equal(prompts.tokens("other", "a", minutes * minute), 0);
    });

  it("is remembered for the 20,000 sessions used last", () => {
    const prompts = new CachedPrompts();
    for (let session = 0; session < 20_001; session++) prompts.note(`s${session}`, "a", usage(1), 0);
    assert.deepEqual([prompts.tokens("s0", "a", 1), prompts.tokens("s1", "a", 1)], [0, 1]);
  });
});
