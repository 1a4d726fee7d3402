import assert from "node:assert/strict";
import { test } from "node:test";
import { type PeriodKind, periodAt } from "../../proxy/config/periods.ts";
import fc, { runs } from "../harness/property.ts";

const cases: [name: string, kind: PeriodKind, zone: string, at: string, start: string, end: string][] = [
  ["a day of 23 hours", "Daily", "Europe/Berlin", "2026-03-29T12:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z"],
  ["a day of 25 hours", "Daily", "Europe/Berlin", "2026-10-25T12:00Z", "2026-10-24T22:00Z", "2026-10-25T23:00Z"],
  [
    "a day that skips midnight",
    "Daily",
    "America/Sao_Paulo",
    "2018-11-04T12:00Z",
    "2018-11-04T03:00Z",
    "2018-11-05T02:00Z",
  ],
  ["weeks begin on Monday", "Weekly", "Asia/Tokyo", "2026-11-21T04:00Z", "2026-11-15T15:00Z", "2026-11-22T15:00Z"],
  ["a leap February", "Monthly", "UTC", "2028-02-29T23:59Z", "2028-02-01T00:00Z", "2028-03-01T00:00Z"],
  ["the turn of a year", "Monthly", "UTC", "2026-12-31T23:59Z", "2026-12-01T00:00Z", "2027-01-01T00:00Z"],
  [
    "hours of a zone 45 minutes off",
    "Hourly",
    "Asia/Kathmandu",
    "2026-05-01T12:20Z",
    "2026-05-01T12:15Z",
    "2026-05-01T13:15Z",
  ],
  [
    "an hour and a half where the clock goes back by half an hour",
    "Hourly",
    "Australia/Lord_Howe",
    "2027-04-03T15:10Z",
    "2027-04-03T14:00Z",
    "2027-04-03T15:30Z",
  ],
  [
    "and where it goes forward",
    "Hourly",
    "Australia/Lord_Howe",
    "2027-10-02T15:40Z",
    "2027-10-02T14:30Z",
    "2027-10-02T16:00Z",
  ],
];
for (const [name, kind, zone, at, start, end] of cases)
  test(`periods: ${name}`, () => {
    assert.deepEqual(periodAt(kind, zone, Date.parse(at)), { startMs: Date.parse(start), endMs: Date.parse(end) });
  });

test("a period contains the requested time, and periods follow each other without a gap", () => {
  const kind = fc.constantFrom<PeriodKind>("Hourly", "Daily", "Weekly", "Monthly");
  const zone = fc.constantFrom(
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
  );
  const changes = [Date.UTC(2027, 3, 3, 15), Date.UTC(2027, 9, 2, 15, 30)].map((ms) =>
    fc.integer({ min: ms - 7_200_000, max: ms + 7_200_000 }),
  );
  const moment = fc.oneof(fc.integer({ min: Date.UTC(2010, 0), max: Date.UTC(2035, 0) }), ...changes);
  fc.assert(
    fc.property(kind, zone, moment, (kind, zone, atMs) => {
      const { startMs, endMs } = periodAt(kind, zone, atMs);
      assert.ok(endMs !== null && startMs <= atMs && atMs < endMs);
      assert.equal(periodAt(kind, zone, endMs).startMs, endMs);
      assert.equal(periodAt(kind, zone, startMs - 1).endMs, startMs);
    }),
    { numRuns: runs(400) },
  );
});
