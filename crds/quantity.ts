/** Durations and money as written in manifests → integers, by integer arithmetic: no float is ever involved. */

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const wholeDuration = /^([0-9]+(ms|s|m|h|d))+$/;
const durationPart = /([0-9]+)(ms|s|m|h|d)/g;
const wholeDecimal = /^([0-9]+)(?:\.([0-9]{1,9}))?$/;

/** `1m30s` → 90000. The schema has validated the text, so an invalid duration is a bug. */
export function durationMs(text: string): number {
  if (!wholeDuration.test(text)) throw new RangeError(`not a duration: ${JSON.stringify(text)}`);
  let total = 0;
  for (const [, count, unit] of text.matchAll(durationPart))
    total += Number(count) * unitMs[unit as keyof typeof unitMs];
  return exact(total, text);
}

/**
 * Billionths: `2.50` USD → 2_500_000_000 nano-USD. The schema has validated the text, so an invalid decimal is a bug.
 */
export function decimalToNano(text: string): number {
  const parts = wholeDecimal.exec(text);
  if (parts === null) throw new RangeError(`not a decimal number: ${JSON.stringify(text)}`);
  const [, whole, fraction = ""] = parts;
  return exact(Number(whole) * 1_000_000_000 + Number(fraction.padEnd(9, "0")), text);
}

function exact(value: number, text: string): number {
  if (!Number.isSafeInteger(value)) throw new RangeError(`out of range: ${JSON.stringify(text)}`);
  return value;
}
