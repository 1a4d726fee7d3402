/** The common form of providers' exports. Pure. */
import { UsageError } from "../../proxy/usage-error.ts";

/** Kinds of tokens, none counted twice. */
export const tokenKinds = ["uncached", "cached", "cacheWrite", "output"] as const;
export type TokenKind = (typeof tokenKinds)[number];

export interface Amount {
  nano: bigint;
  /** Half a unit of the export's last decimal place: the largest rounding error. */
  halfUnitNano: bigint;
}

/** One row of an export. */
export interface InvoiceLine {
  startMs: number;
  endMs: number;
  model: string;
  /** Absent in exports that don't count requests. */
  requests?: number;
  /** Absent in exports of costs alone. */
  tokens?: Partial<Record<TokenKind, number>>;
  /** Absent in exports of usage alone. */
  cost?: Amount;
}

export interface Invoice {
  lines: InvoiceLine[];
  /** Notes on what was left out. */
  notes: string[];
}

export const dayMs = 86_400_000;
const nanoDigits = 9;

const decimalForm = /^([+-])?(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/;

/** A decimal number in billionths, rounded half up; null if the text isn't a number. */
export function exportedAmount(text: string): Amount | null {
  const [, sign, whole, fraction = "", exponent = "0"] = decimalForm.exec(text.trim()) ?? [];
  if (whole === undefined) return null;
  const places = fraction.length - Number(exponent);
  const digits = BigInt(whole + fraction);
  const scale = 10n ** BigInt(Math.abs(nanoDigits - places));
  const nano = places <= nanoDigits ? digits * scale : (digits + scale / 2n) / scale;
  const halfUnitNano = places < nanoDigits ? 10n ** BigInt(nanoDigits - Math.max(0, places)) / 2n : 1n;
  return { nano: sign === "-" ? -nano : nano, halfUnitNano };
}

/** One record of an export. Its errors name file and line. */
export class ExportRow {
  readonly #cells: Readonly<Record<string, unknown>>;
  readonly #place: string;

  constructor(cells: Readonly<Record<string, unknown>>, place: string) {
    this.#cells = cells;
    this.#place = place;
  }

  fail(why: string): never {
    throw new UsageError(`${this.#place}: ${why}`);
  }

  /** "" if there is none. */
  text(name: string): string {
    const value = this.#cells[name];
    return typeof value === "string" || typeof value === "number" ? String(value).trim() : "";
  }

  needed(name: string): string {
    return this.text(name) || this.fail(`${name} is empty`);
  }

  /** Empty counts as 0. */
  count(name: string): number {
    const text = this.text(name);
    const value = text === "" ? 0 : Number(text);
    return Number.isSafeInteger(value) && value >= 0 ? value : this.fail(`${name} is not a whole number: ${text}`);
  }

  amount(name: string): Amount {
    const text = this.needed(name);
    return exportedAmount(text) ?? this.fail(`${name} is not a number: ${text}`);
  }

  /** A number of units of `perUnit` each, as a whole number. */
  quantity(name: string, perUnit: number): number {
    const { nano } = this.amount(name);
    return Number((nano * BigInt(perUnit) + 500_000_000n) / 1_000_000_000n);
  }

  momentMs(name: string): number {
    const text = this.needed(name);
    const ms = /^\d{4}-\d{2}-\d{2}/.test(text)
      ? Date.parse(text.length > 10 && !/Z|[+-]\d{2}:?\d{2}$/.test(text) ? `${text}Z` : text)
      : Number.NaN;
    return Number.isNaN(ms) ? this.fail(`${name} is not a date: ${text}`) : ms;
  }

  /** Seconds since 1970. */
  secondsMs(name: string): number {
    const text = this.needed(name);
    return /^\d{9,11}$/.test(text) ? Number(text) * 1000 : this.fail(`${name} is not a number of seconds: ${text}`);
  }
}

/** How to read the rows of one kind of export. */
export interface ExportFormat {
  /** The name in messages. */
  name: string;
  /** Maps the column names of all versions of the export to one. If absent, names are used as they are. */
  column?(name: string): string;
  /** Columns that no other export has. */
  marks: readonly string[];
  /** Required columns, which other versions may lack. */
  needs: readonly string[];
  /** Returns null if the row isn't about a model. */
  line(row: ExportRow, context: ReadContext): InvoiceLine | null;
}

export interface ReadContext {
  /** USD per unit of the currency that an export is in. */
  toUsd(currency: string, row: ExportRow): (amount: Amount) => Amount;
  /** Start of a day that the export gives without a zone. */
  dayStartMs(day: string): number;
  /** Counts a row that is left out. */
  leaveOut(what: string): null;
}
