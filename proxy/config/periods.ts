/** When a budget's period begins and ends, by the local time of a time zone. Pure. */

export type PeriodKind = "Hourly" | "Daily" | "Weekly" | "Monthly" | "Total";

export interface Period {
  /** Epoch milliseconds. */
  startMs: number;
  /** null if it never ends. */
  endMs: number | null;
}

const minuteMs = 60_000;
const hourMs = 3_600_000;
const dayMs = 86_400_000;
/** Larger than any zone's offset from UTC plus any change of its clock. */
const farthestMs = 36 * hourMs;

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (format === undefined) {
    const two = "2-digit";
    format = new Intl.DateTimeFormat("en-US", {
      timeZone,
      year: "numeric",
      month: two,
      day: two,
      hour: two,
      minute: two,
      second: two,
      hourCycle: "h23",
    });
    formats.set(timeZone, format);
  }
  return format;
}

/** Returns the local time, encoded as if it were UTC. */
function wallMs(timeZone: string, atMs: number): number {
  const parts: Record<string, number> = {};
  for (const { type, value } of formatOf(timeZone).formatToParts(atMs)) parts[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/** Returns the local time as `2027-02-01T14:00:00.000Z`, whose Z means nothing. */
export const localStamp = (timeZone: string, atMs: number): string =>
  new Date(timeZone === "UTC" ? atMs : wallMs(timeZone, atMs)).toISOString();

export function isTimeZone(name: string): boolean {
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

/** Returns when a day such as `2027-02-01` begins in a time zone. */
export const dayStartMs = (timeZone: string, day: string): number => firstAt(timeZone, Date.parse(day));

/**
 * Returns the first instant whose local time is `wall` or later. If clocks skip that time, it is the instant after the
 * gap.
 */
function firstAt(timeZone: string, wall: number): number {
  let before = wall - farthestMs;
  let after = wall + farthestMs;
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (wallMs(timeZone, middle) >= wall) after = middle;
    else before = middle;
  }
  return after;
}

/**
 * Returns the start of the period that contains a local time, and the start of the next period, both as local times.
 */
function onTheWall(kind: "Daily" | "Weekly" | "Monthly", wall: number): [number, number] {
  const date = new Date(wall);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  if (kind === "Monthly") return [Date.UTC(year, month, 1), Date.UTC(year, month + 1, 1)];
  if (kind === "Daily") return [Date.UTC(year, month, day), Date.UTC(year, month, day + 1)];
  const monday = Date.UTC(year, month, day - ((date.getUTCDay() + 6) % 7));
  return [monday, monday + 7 * dayMs];
}

const minuteOnTheWall = (timeZone: string, atMs: number): number => new Date(wallMs(timeZone, atMs)).getUTCMinutes();

/**
 * Runs from one instant at which local clocks show a full hour to the next. Where clocks change by half an hour (Lord
 * Howe Island), that gives one period of an hour and a half instead of two that overlap.
 */
function hourAt(timeZone: string, nowMs: number): Period {
  const minute = Math.floor(nowMs / minuteMs) * minuteMs;
  let startMs = minute - minuteOnTheWall(timeZone, minute) * minuteMs;
  while (minuteOnTheWall(timeZone, startMs) !== 0) startMs -= minuteMs;
  let endMs = startMs + hourMs;
  while (minuteOnTheWall(timeZone, endMs) !== 0) endMs += minuteMs;
  return { startMs, endMs };
}

/** Returns the period that contains an instant. Weeks begin on Monday. Throws a RangeError for an unknown time zone. */
export function periodAt(kind: PeriodKind, timeZone: string, nowMs: number): Period {
  if (kind === "Total") return { startMs: 0, endMs: null };
  if (kind === "Hourly") return hourAt(timeZone, nowMs);
  const wall = wallMs(timeZone, nowMs);
  const [start, end] = onTheWall(kind, wall);
  return { startMs: firstAt(timeZone, start), endMs: firstAt(timeZone, end) };
}

/**
 * `periodAt` that caches the last result for each kind and zone, since Intl costs more than all other checks of a call.
 */
export function periods(): typeof periodAt {
  const known = new Map<string, Period>();
  return (kind, timeZone, nowMs) => {
    const name = `${kind} ${timeZone}`;
    const last = known.get(name);
    if (last !== undefined && nowMs >= last.startMs && (last.endMs === null || nowMs < last.endMs)) return last;
    const next = periodAt(kind, timeZone, nowMs);
    known.set(name, next);
    return next;
  };
}
