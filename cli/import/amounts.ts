/** Durations, money and periods of other gateways in the form of manifests. */

/** Decimal text for a manifest: at most nine digits after the point; null if it is out of range. */
export function decimalText(amount: number): string | null {
  if (!Number.isFinite(amount) || amount < 0 || amount >= 9_000_000) return null;
  const text = Number(amount.toPrecision(12)).toFixed(9);
  return text.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

/** A price of one token in USD → USD for a million. */
export const perMillion = (perToken: number): string | null => decimalText(perToken * 1_000_000);

/** Seconds → a timer in a manifest, above zero and below 100 hours. */
export function timerFrom(seconds: number): string | null {
  if (!Number.isFinite(seconds) || seconds <= 0) return null;
  const ms = Math.round(seconds * 1_000);
  if (ms % 1_000 !== 0 && ms < 1_000_000) return `${Math.max(1, ms)}ms`;
  const whole = Math.max(1, Math.round(seconds));
  if (whole >= 360_000) return "99h";
  if (whole <= 9_999) return `${whole}s`;
  const minutes = Math.ceil(whole / 60);
  return minutes <= 999 ? `${minutes}m` : `${Math.ceil(minutes / 60)}h`;
}

const unitSeconds: Readonly<Record<string, number>> = {
  ms: 0.001,
  s: 1,
  sec: 1,
  second: 1,
  m: 60,
  min: 60,
  minute: 60,
  h: 3_600,
  hr: 3_600,
  hour: 3_600,
  d: 86_400,
  day: 86_400,
  w: 604_800,
  week: 604_800,
  mo: 2_592_000,
  month: 2_592_000,
  y: 31_536_000,
  year: 31_536_000,
};

/** `30d`, `1mo`, `1h30m` or a number of seconds; null if it is none of these. */
export function secondsOf(text: string): number | null {
  const compact = text.replaceAll(" ", "").toLowerCase();
  if (/^[0-9]+(\.[0-9]+)?$/.test(compact)) return Number(compact);
  if (!/^([0-9]+(\.[0-9]+)?[a-z]+)+$/.test(compact)) return null;
  let total = 0;
  for (const [, count, unit = ""] of compact.matchAll(/([0-9.]+)([a-z]+)/g)) {
    const seconds = unitSeconds[unit] ?? unitSeconds[unit.replace(/s$/, "")];
    if (seconds === undefined) return null;
    total += Number(count) * seconds;
  }
  return total;
}

export interface ImportedPeriod {
  period: "Hourly" | "Daily" | "Weekly" | "Monthly" | "Total";
  /** The factor for an amount, where the period is shorter. */
  factor: number;
  /** How it differs from the original; empty if it doesn't. */
  note: string;
}

const calendar = "follows the calendar instead of starting with the first call";

/** The next longer period; beyond a month, a month with its share of the amount. */
export function periodOf(text: string | undefined): ImportedPeriod {
  if (text === undefined || text === "") return { period: "Total", factor: 1, note: "" };
  const periods: Readonly<Record<string, ImportedPeriod["period"]>> = {
    hourly: "Hourly",
    daily: "Daily",
    weekly: "Weekly",
    monthly: "Monthly",
  };
  const named = periods[text.toLowerCase()];
  if (named !== undefined) return { period: named, factor: 1, note: "" };
  const seconds = secondsOf(text);
  if (seconds === null)
    return { period: "Monthly", factor: 1, note: `the period is not understood; it became a month` };
  const exact: readonly (readonly [number, ImportedPeriod["period"]])[] = [
    [3_600, "Hourly"],
    [86_400, "Daily"],
    [604_800, "Weekly"],
    [2_592_000, "Monthly"],
  ];
  for (const [length, period] of exact) {
    if (seconds === length) return { period, factor: 1, note: `the period ${calendar}` };
    if (seconds < length)
      return { period, factor: 1, note: `${text} became the next longer period, and it ${calendar}` };
  }
  if (seconds <= 2_678_400) return { period: "Monthly", factor: 1, note: `the period ${calendar}` };
  return {
    period: "Monthly",
    factor: 2_592_000 / seconds,
    note: `${text} became a month with its share of the amount`,
  };
}
