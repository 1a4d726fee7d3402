/** Headers that tell a caller what is left of its limits and budgets. */
import { usd } from "../config/usage-report.ts";
import { addLimitHeaders, type LimitReading } from "../dialects/limit-headers.ts";
import type { Quotas } from "../fleet/quotas.ts";
import type { AdmitRequest } from "./admit-request.ts";
import type { BudgetLeft, Charge } from "./limit-claims.ts";

const share = ({ remaining, limit }: LimitReading): number => (limit === 0 ? 0 : remaining / limit);

/** The reading of the limit with the least left. */
function tightest(charges: readonly Charge[], what: "requests" | "tokens", quotas: Quotas): LimitReading | null {
  let least: LimitReading | null = null;
  for (let index = 0; index < charges.length; index++) {
    const charge = charges[index] as Charge;
    if (charge.shows !== what) continue;
    const reading = quotas.reading(charge.counter);
    if (least === null || share(reading) < share(least)) least = reading;
  }
  return least;
}

/** Adds headers about the budget with the smallest share left. */
export function showBudget(client: AdmitRequest["client"], charges: readonly Charge[]): void {
  const share = ({ leftNanoUsd, amountNanoUsd }: BudgetLeft): number =>
    amountNanoUsd === 0 ? 0 : leftNanoUsd / amountNanoUsd;
  const [tight] = charges.flatMap((charge) => charge.left?.() ?? []).sort((a, b) => share(a) - share(b));
  if (tight === undefined) return;
  client.always((headers) => {
    headers["x-sluice-budget"] = tight.budget;
    headers["x-sluice-budget-left-usd"] = usd(tight.leftNanoUsd);
    if (tight.resetsAtMs !== null) headers["x-sluice-budget-resets"] = new Date(tight.resetsAtMs).toISOString();
  });
}

export function showLimits(
  { client, surface }: AdmitRequest,
  charges: readonly Charge[],
  quotas: Quotas,
  takenMs: number,
): void {
  const requests = tightest(charges, "requests", quotas);
  const tokens = tightest(charges, "tokens", quotas);
  if (requests === null && tokens === null) return;
  client.always((headers) => addLimitHeaders(headers, { requests, tokens }, surface, takenMs));
}
