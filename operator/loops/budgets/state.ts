/** The state of a Budget between two passes. */
import type { BudgetCrossing, BudgetUnresolved } from "../../../crds/types/budget-status.ts";

export interface BudgetState {
  /** `counting.sinceMs` of the terms that these figures are counted by; null: the terms of the first spec. */
  sinceMs: number | null;
  /** The amount to which crossings refer; null from a status that an older version wrote. */
  amountNanoUsd: number | null;
  /** How often crossings were taken back, so that a repeated one can be distinguished from the one before. */
  rearmed: number;
  periodStartMs: number;
  resetsAtMs: number | null;
  /** Spent by all subjects together. */
  spentNanoUsd: number;
  groupCount: number;
  /** Subject → spent; only the subjects that spent most. */
  groups: ReadonlyMap<string, number>;
  /** Subjects for whom a call was refused. */
  refused: ReadonlySet<string>;
  crossings: readonly BudgetCrossing[];
  /** Incidents of earlier periods that are still open, as far as is known. */
  unresolved: readonly BudgetUnresolved[];
  /** Earlier periods, the newest last. */
  history: readonly { periodStart: string; spent: string }[];
}
