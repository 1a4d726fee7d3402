/** What providers charge for one call. Each attempt that reached a provider is charged separately. */
import type { Usage } from "../dialects/canonical.ts";
import type { AttemptRecord, CallRecord } from "./record.ts";

export interface BilledUsage {
  /** `namespace/name`. */
  provider: string;
  usage: Usage;
  /** null or absent if the model has no price. */
  costNanoUsd?: number | null;
  /** What was used and the price lacks, which is not in the cost; absent if there is nothing. */
  unpriced?: readonly string[];
}

/** Whether the cost lacks something that was used. */
export const isUnpriced = ({ costNanoUsd, unpriced }: BilledUsage): boolean =>
  (costNanoUsd ?? null) === null || unpriced !== undefined;

/** The attempts that were charged. A call without attempts, such as one for an embedding, is charged as a whole. */
export function chargesOf(
  call: Pick<CallRecord, "attempts" | "provider" | "usage" | "costNanoUsd">,
): readonly BilledUsage[] {
  const charges = attemptCharges(call.attempts);
  const { provider, usage, costNanoUsd } = call;
  return charges.length > 0 || usage === null ? charges : [{ provider, usage, costNanoUsd }];
}

const isCharged = (attempt: AttemptRecord): attempt is AttemptRecord & BilledUsage => attempt.usage !== undefined;

/** Without a copy if all were charged, as usual: budgets, limits, ledger and metrics each ask for them. */
export const attemptCharges = (attempts: readonly AttemptRecord[]): readonly BilledUsage[] =>
  allCharged(attempts) ? attempts : attempts.filter(isCharged);

function allCharged(attempts: readonly AttemptRecord[]): attempts is readonly (AttemptRecord & BilledUsage)[] {
  for (let index = 0; index < attempts.length; index++) if (attempts[index]?.usage === undefined) return false;
  return true;
}

/** In nano-USD; null if nothing in it has a price. */
export function costOf(charges: readonly BilledUsage[]): number | null {
  let sum: number | null = null;
  for (let index = 0; index < charges.length; index++) {
    const cost = charges[index]?.costNanoUsd ?? null;
    if (cost !== null) sum = (sum ?? 0) + cost;
  }
  return sum;
}

/** Tokens of prompts and answers. */
export function chargedTokens(charges: readonly BilledUsage[]): number {
  let sum = 0;
  for (let index = 0; index < charges.length; index++) {
    const { usage } = charges[index] as BilledUsage;
    sum += usage.prompt + usage.completion;
  }
  return sum;
}
