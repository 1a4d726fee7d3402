/** Numbers, amounts and times as people read them. */

const nanoPerUsd = 1_000_000_000;

const grouped = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export const wholeNumber = (value: number): string => grouped.format(Math.round(value));

export const shortNumber = (value: number): string =>
  Math.abs(value) < 10_000 ? grouped.format(Math.round(value)) : short.format(value);

/** Rounded to cents from one dollar, to tenths of a cent below that, and with as many digits as needed below a cent. */
export const callCount = (count: number): string => `${shortNumber(count)} ${count === 1 ? "call" : "calls"}`;

export function dollars(nanoUsd: number): string {
  const value = nanoUsd / nanoPerUsd;
  if (value === 0) return "$0";
  const size = Math.abs(value);
  if (size >= 10_000) return `$${short.format(value)}`;
  if (size >= 1) return `$${value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  if (size >= 0.01) return `$${value.toFixed(3)}`;
  return `$${value.toLocaleString("en-US", { maximumSignificantDigits: 3, maximumFractionDigits: 9 })}`;
}

export function milliseconds(ms: number | null): string {
  if (ms === null) return "–";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
}

export function percent(share: number): string {
  const value = 100 * share;
  if (value > 0 && value < 0.1) return "<0.1 %";
  return `${value < 10 && value % 1 !== 0 ? value.toFixed(1) : Math.round(value)} %`;
}

const units: readonly [number, string][] = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
];

export function roundedDuration(ms: number): string {
  for (const [size, unit] of units) if (ms >= size) return `${Math.floor(ms / size)} ${unit}`;
  return "0 s";
}

export function ago(ms: number, nowMs: number): string {
  return nowMs - ms < 2_000 ? "now" : `${roundedDuration(nowMs - ms)} ago`;
}

export function until(ms: number, nowMs: number): string {
  return ms <= nowMs ? "over" : `in ${roundedDuration(ms - nowMs)}`;
}

export function clockTime(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

export function clockTimeWithSeconds(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}

export function dateAndTime(ms: number): string {
  const day = new Date(ms).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
  return `${day}, ${clockTime(ms)}`;
}
