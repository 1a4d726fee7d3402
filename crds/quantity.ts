/** Durations and money as written in manifests → integers. Their schemas have checked the form. */

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `1m30s` → 90000. */
export function durationMs(text: string): number {
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) total += Number(count) * (unitMs[unit ?? ""] ?? 0);
  return total;
}

/** Decimal with at most 9 digits behind the point → billionths, exactly: `2.50` USD → 2_500_000_000 nano-USD. */
export function decimalToNano(text: string): number {
  const [whole = "0", fraction = ""] = text.split(".");
  return Number(BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0").slice(0, 9)));
}
