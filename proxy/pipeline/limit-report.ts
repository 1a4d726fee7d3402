/** What is left under providers' quotas and under limits that all callers of a policy share. */
import type { Quotas } from "../fleet/quotas.ts";
import type { CounterSpec } from "../fleet/slice.ts";
import { quotaCounters } from "../routing/quotas.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { sharedCounters } from "./limit-claims.ts";

export interface LeftOver {
  labels: Record<string, string>;
  /** Share that is left, 0 to 1, as far as this proxy knows. Other proxies' usage is known after its next report. */
  ratio: number;
}

export function readHeadroom(
  snapshot: Snapshot,
  quotas: Pick<Quotas, "reading">,
): { providers: LeftOver[]; routes: LeftOver[] } {
  const ratio = (counter: CounterSpec): number => {
    const { remaining, limit } = quotas.reading(counter);
    return limit === 0 ? 0 : remaining / limit;
  };
  const providers: LeftOver[] = [];
  for (const { account, models } of snapshot.providers.values())
    for (const model of [null, ...models.values()])
      for (const { of, counter } of quotaCounters(account.config, model)) {
        const labels = { provider: account.config.id, model: model?.name ?? "", of: of.toLowerCase() };
        providers.push({ labels, ratio: ratio(counter) });
      }
  const routes: LeftOver[] = [];
  for (const path of snapshot.paths.values())
    for (const { config } of path.routes)
      for (const { limit, counter } of sharedCounters(config)) {
        const labels = { route: config.id, of: limit.of.toLowerCase(), window: String(limit.windowMs / 1000) };
        routes.push({ labels, ratio: ratio(counter) });
      }
  return { providers, routes };
}
