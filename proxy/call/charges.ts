/** What providers charge for one call: each attempt that reached one is charged apart. */
import type { Usage } from "../dialects/canonical.ts";
import type { AttemptRecord, CallRecord } from "./record.ts";

export interface BilledUsage {
  /** `namespace/name` */
  provider: string;
  usage: Usage;
  /** null where the model has no price. */
  costNanoUsd: number | null;
}

/** Attempts that were charged. A call that is no attempt's, such as one for a vector, is charged as a whole. */
export function chargesOf(call: Pick<CallRecord, "attempts" | "provider" | "usage" | "costNanoUsd">): BilledUsage[] {
  const charges = attemptCharges(call.attempts);
  const { provider, usage, costNanoUsd } = call;
  return charges.length > 0 || usage === null ? charges : [{ provider, usage, costNanoUsd }];
}

export function attemptCharges(attempts: readonly AttemptRecord[]): BilledUsage[] {
  const charges: BilledUsage[] = [];
  for (const { provider, usage, costNanoUsd = null } of attempts)
    if (usage !== undefined) charges.push({ provider, usage, costNanoUsd });
  return charges;
}

/** In nano-USD; null where nothing of it has a price. */
export function costOf(charges: readonly BilledUsage[]): number | null {
  let sum: number | null = null;
  for (const { costNanoUsd } of charges) if (costNanoUsd !== null) sum = (sum ?? 0) + costNanoUsd;
  return sum;
}

/** Prompt and answer. */
export function chargedTokens(charges: readonly BilledUsage[]): number {
  let sum = 0;
  for (const { usage } of charges) sum += usage.prompt + usage.completion;
  return sum;
}
