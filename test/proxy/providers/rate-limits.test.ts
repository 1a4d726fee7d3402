import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { providerError } from "../../../proxy/providers/errors.ts";
import { exhaustedForMs, resetMs } from "../../../proxy/providers/rate-limits.ts";

const nowMs = Date.parse("2026-11-20T12:00:00Z");

describe("when a rate limit is fully available again", () => {
  for (const [text, expected] of [
    ["120ms", 120],
    ["1s", 1_000],
    ["6m0s", 360_000],
    ["8.64s", 8_640],
    ["1h2m3s", 3_723_000],
    ["15", 15_000],
    ["0", 0],
    [String(nowMs / 1000 + 30), 30_000],
    ["2026-11-20T12:00:10Z", 10_000],
    ["2026-11-20T11:59:00Z", 0],
    ["", null],
    ["soon", null],
    ["-1s", null],
  ] as const) {
    it(JSON.stringify(text), () => assert.equal(resetMs(text, nowMs), expected));
  }
});

describe("what rate-limit headers say about the next request", () => {
  const rows: { name: string; headers: Record<string, string | string[]>; waitMs: number | null }[] = [
    { name: "nothing", headers: { "content-type": "application/json" }, waitMs: null },
    {
      name: "requests remain",
      headers: { "x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "1s" },
      waitMs: null,
    },
    {
      name: "none of a hundred per minute remains: one fits after a hundredth of the time",
      headers: {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m0s",
      },
      waitMs: 600,
    },
    {
      name: "none remains of an unknown limit",
      headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "7" },
      waitMs: 7_000,
    },
    {
      name: "another word order, with a vendor prefix",
      headers: {
        "vendor-ratelimit-input-tokens-remaining": "0",
        "vendor-ratelimit-input-tokens-reset": "2026-11-20T12:00:50Z",
      },
      waitMs: 5_000,
    },
    {
      name: "the longest of several delays",
      headers: {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "10s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "30s",
      },
      waitMs: 3_000,
    },
    { name: "no reset time", headers: { "x-ratelimit-remaining-requests": "0" }, waitMs: null },
    {
      name: "no number",
      headers: { "x-ratelimit-remaining-requests": "none", "x-ratelimit-reset-requests": "1s" },
      waitMs: null,
    },
    {
      name: "twice",
      headers: { "x-ratelimit-remaining-requests": ["0", "0"], "x-ratelimit-reset-requests": "1s" },
      waitMs: null,
    },
  ];
  for (const { name, headers, waitMs } of rows) it(name, () => assert.equal(exhaustedForMs(headers, nowMs), waitMs));

  it("set the delay of a 429 without Retry-After, at least a second, and not of other failures", () => {
    const headers = {
      "x-ratelimit-limit-requests": "100",
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-reset-requests": "5m",
    };
    const wait = (status: number, more: Record<string, string> = {}) =>
      providerError({ status, headers: { ...headers, ...more }, body: "", nowMs }).retryAfterMs;
    assert.deepEqual(
      [wait(429), wait(429, { "x-ratelimit-reset-requests": "1s" }), wait(429, { "retry-after": "9" }), wait(500)],
      [3_000, 1_000, 9_000, null],
    );
  });

  const day = 86_400_000;
  const longest: [string, Record<string, string>, number][] = [
    ["seconds", { "retry-after": "99999999999" }, day],
    ["a date in a hundred years", { "retry-after": "Fri, 01 Jan 2126 00:00:00 GMT" }, day],
    ["a date in the past", { "retry-after": "Fri, 01 Jan 1999 00:00:00 GMT" }, 0],
    ["a time stamp", { "retry-after": String(Math.round(nowMs / 1000) + 30) }, 30_000],
    ["milliseconds", { "retry-after-ms": "1e300" }, day],
    ["a reset", { "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "999999h" }, day],
  ];
  for (const [what, headers, waitMs] of longest)
    it(`never closes a model for longer than a day: ${what}`, () => {
      const error = providerError({ status: 429, headers, body: "", nowMs });
      assert.ok(Math.abs((error.retryAfterMs ?? -1) - waitMs) < 1_000, String(error.retryAfterMs));
    });
});
