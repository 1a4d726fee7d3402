/** A day of a model on an invoice and in the ledger, and why they differ. */
import type { Sums } from "../../proxy/config/usage-report.ts";
import type { TokenKind } from "./invoice.ts";

export type Cause =
  | { kind: "rounding" }
  | { kind: "not in the ledger" }
  | { kind: "not on the invoice" }
  | { kind: "more on the invoice" | "less on the invoice"; requests: number | null; tokens: number }
  | { kind: "cached tokens"; billed: number; ledger: number }
  | { kind: "price"; share: number }
  | { kind: "unpriced"; requests: number }
  | { kind: "estimated"; requests: number; of: number }
  | { kind: "amount only" }
  | { kind: "time-zone"; shiftHours: number };

/** One model's figures in one period of an invoice. null if the export lacks them. */
export interface Billed {
  requests: number | null;
  tokens: Record<TokenKind, number> | null;
  costNano: bigint | null;
  /** The largest error from rounding its rows. */
  roundingNano: bigint;
}

export interface Compared {
  startMs: number;
  endMs: number;
  model: string;
  billed: Billed | null;
  ledger: Sums | null;
  causes: Cause[];
}
