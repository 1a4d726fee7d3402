/**
 * Hours in the local time of a time zone. When the clock is put forward, the skipped hour is never served; when it is put
 * back, the repeated hour is served twice.
 */
import type { RouteConfig } from "../config/route.ts";

type Hours = NonNullable<RouteConfig["access"]["hours"]>;

const dayNames = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const minuteMs = 60_000;

function covers(hours: Hours, day: number, minute: number): boolean {
  const { fromMinute, toMinute, days } = hours;
  if (fromMinute < toMinute) return days.includes(day) && minute >= fromMinute && minute < toMinute;
  // After midnight the window belongs to the day on which it began.
  return (days.includes(day) && minute >= fromMinute) || (days.includes((day + 6) % 7) && minute < toMinute);
}

/** Tests epoch milliseconds. The answer is kept for the minute, since asking Intl costs more than all other rules. */
export function hoursTest(hours: Hours): (nowMs: number) => boolean {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: hours.timeZone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
  let known = Number.NaN;
  let inside = false;
  return (nowMs) => {
    const minute = Math.floor(nowMs / minuteMs);
    if (minute === known) return inside;
    const parts = Object.fromEntries(format.formatToParts(nowMs).map(({ type, value }) => [type, value]));
    inside = covers(
      hours,
      dayNames.indexOf(parts["weekday"] ?? ""),
      Number(parts["hour"]) * 60 + Number(parts["minute"]),
    );
    known = minute;
    return inside;
  };
}
