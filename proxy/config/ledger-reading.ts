/** What the status port answers and takes about the usage ledger. */
import { z } from "zod";
import type { LedgerRow } from "./ledger.ts";
import type { Currency, KeyFacts } from "./usage-report.ts";

/** A reply of the status port at /usage. */
export interface LedgerReading {
  /** Identifies this run of this proxy. */
  instance: string;
  /** Whether other proxies read the same rows. */
  shared: boolean;
  /** Older rows are not kept. Absent in replies of older proxies. */
  keptFrom?: string;
  currency?: Currency | null;
  /** The rows' keys as they are now, if they were requested. */
  keys?: Record<string, KeyFacts>;
  rows: LedgerRow[];
}

const callerName = z.string().min(1).max(256);
/** The body of a POST to /usage/rename. */
export const renaming = z.strictObject({
  user: callerName,
  namespace: z.string().max(63).nullable().default(null),
  replacement: callerName,
});
