import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hoursTest } from "../../../proxy/access/hours.ts";

const everyDay = [0, 1, 2, 3, 4, 5, 6];
const week = [1, 2, 3, 4, 5];
const minutes = (time: string): number => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
const window = (from: string, to: string, timeZone: string, days = everyDay) =>
  hoursTest({ fromMinute: minutes(from), toMinute: minutes(to), timeZone, days });

describe("hours", () => {
  // 2026-03-29 the clock goes from 02:00 to 03:00 in Berlin, 2026-10-25 from 03:00 back to 02:00.
  const cases: [what: string, test: (nowMs: number) => boolean, at: string, inside: boolean][] = [
    ["the first minute counts", window("08:00", "18:00", "Europe/Berlin"), "2026-01-15T07:00:00Z", true],
    ["the minute before doesn't", window("08:00", "18:00", "Europe/Berlin"), "2026-01-15T06:59:59.999Z", false],
    ["the last minute counts", window("08:00", "18:00", "Europe/Berlin"), "2026-01-15T16:59:59.999Z", true],
    ["the end doesn't", window("08:00", "18:00", "Europe/Berlin"), "2026-01-15T17:00:00Z", false],
    ["in summer an hour earlier by UTC", window("08:00", "18:00", "Europe/Berlin"), "2026-07-15T06:00:00Z", true],
    ["the day before the change", window("08:00", "18:00", "Europe/Berlin"), "2026-03-28T06:30:00Z", false],
    ["the day of the change", window("08:00", "18:00", "Europe/Berlin"), "2026-03-29T06:30:00Z", true],
    [
      "an hour that is skipped is never there",
      window("02:00", "03:00", "Europe/Berlin"),
      "2026-03-29T01:00:00Z",
      false,
    ],
    ["before the skip", window("01:00", "02:00", "Europe/Berlin"), "2026-03-29T00:59:59Z", true],
    [
      "an hour that comes twice, the first time",
      window("02:00", "03:00", "Europe/Berlin"),
      "2026-10-25T00:30:00Z",
      true,
    ],
    ["and the second", window("02:00", "03:00", "Europe/Berlin"), "2026-10-25T01:30:00Z", true],
    ["and not a third", window("02:00", "03:00", "Europe/Berlin"), "2026-10-25T02:00:00Z", false],
    ["over midnight, in the evening", window("22:00", "06:00", "America/New_York"), "2026-07-15T03:00:00Z", true],
    ["over midnight, in the morning", window("22:00", "06:00", "America/New_York"), "2026-07-15T09:59:00Z", true],
    ["over midnight, by day", window("22:00", "06:00", "America/New_York"), "2026-07-15T10:00:00Z", false],
    ["Friday's night goes on into Saturday", window("22:00", "06:00", "UTC", week), "2026-11-21T05:59:00Z", true],
    ["Saturday has none of its own", window("22:00", "06:00", "UTC", week), "2026-11-21T22:30:00Z", false],
    [
      "nor does Monday's morning belong to Sunday",
      window("22:00", "06:00", "UTC", week),
      "2026-11-23T05:00:00Z",
      false,
    ],
    [
      "over midnight and a change of the clock",
      window("22:00", "03:00", "Europe/Berlin"),
      "2026-10-25T01:59:00Z",
      true,
    ],
    [
      "the day is that of the zone, not of UTC",
      window("00:00", "24:00", "Asia/Tokyo", [1]),
      "2026-11-22T15:00:00Z",
      true,
    ],
    ["until its end", window("00:00", "24:00", "Asia/Tokyo", [1]), "2026-11-23T14:59:59Z", true],
    ["and no longer", window("00:00", "24:00", "Asia/Tokyo", [1]), "2026-11-23T15:00:00Z", false],
    ["a zone with half an hour", window("09:00", "17:00", "Asia/Kolkata"), "2026-05-01T03:30:00Z", true],
    ["and its minute before", window("09:00", "17:00", "Asia/Kolkata"), "2026-05-01T03:29:59Z", false],
    ["midnight is the hour 0", window("00:00", "00:30", "UTC"), "2026-05-01T00:15:00Z", true],
  ];
  for (const [what, test, at, inside] of cases)
    it(`${what}: ${at} is ${inside ? "in" : "out"}`, () => assert.equal(test(Date.parse(at)), inside));

  it("says for each minute of a year what the clock on the wall says", () => {
    const test = window("08:15", "18:45", "Europe/Berlin", week);
    const wall = new Intl.DateTimeFormat("sv-SE", {
      timeZone: "Europe/Berlin",
      dateStyle: "short",
      timeStyle: "short",
    });
    for (let at = Date.parse("2026-01-01T00:00:00Z"); at < Date.parse("2027-01-01T00:00:00Z"); at += 97 * 60_000) {
      const [day = "", time = ""] = wall.format(at).split(" ");
      const weekday = new Date(`${day}T12:00:00Z`).getUTCDay();
      assert.equal(
        test(at),
        time >= "08:15" && time < "18:45" && weekday >= 1 && weekday <= 5,
        new Date(at).toISOString(),
      );
    }
  });
});
