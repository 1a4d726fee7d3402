/** Metrics of budgets. With a shared store, every proxy shows the spending of all of them. */
import type { Gauge, Registry } from "prom-client";
import type { BudgetReading } from "../config/budget.ts";
import { registerGauge } from "../metrics/register.ts";

const nanoUsd = 1_000_000_000;

/** A budget's reading may be this old: a scrape must not add to the store's load. */
const freshMs = 5_000;

const leftOf = (amountNanoUsd: number, groups: BudgetReading["groups"]): number => {
  const most = Math.max(0, ...groups.map(({ spentNanoUsd }) => spentNanoUsd));
  return amountNanoUsd <= 0 ? 0 : (amountNanoUsd - most) / amountNanoUsd;
};

type Fill = (gauge: Gauge, labels: { namespace: string; budget: string }, reading: BudgetReading) => void;

/** If `read` fails, the last readings are shown. */
export function budgetMetrics(registry: Registry, read: () => Promise<readonly BudgetReading[]>, nowMs: () => number) {
  let readings: readonly BudgetReading[] = [];
  let readAtMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | null = null;

  async function readAgain(): Promise<void> {
    try {
      readings = await read();
      readAtMs = nowMs();
    } finally {
      reading = null;
    }
  }

  async function current(): Promise<readonly BudgetReading[]> {
    if (nowMs() - readAtMs >= freshMs) await (reading ??= readAgain()).catch(() => undefined);
    return readings;
  }

  const gauge = (name: Parameters<typeof registerGauge>[1], fill: Fill): void =>
    void registerGauge(registry, name, async (self) => {
      const budgets = await current();
      self.reset();
      for (const budget of budgets) {
        const slash = budget.id.indexOf("/");
        fill(self, { namespace: budget.id.slice(0, slash), budget: budget.id.slice(slash + 1) }, budget);
      }
    });
  gauge("sluice_budget_spent", (self, labels, { spentNanoUsd }) => self.set(labels, spentNanoUsd / nanoUsd));
  gauge("sluice_budget_limit", (self, labels, { amountNanoUsd = 0 }) => self.set(labels, amountNanoUsd / nanoUsd));
  gauge("sluice_budget_remaining_ratio", (self, labels, { amountNanoUsd = 0, groups }) =>
    self.set(labels, leftOf(amountNanoUsd, groups)),
  );
  gauge("sluice_budget_period_start_timestamp_seconds", (self, labels, { periodStartMs }) =>
    self.set(labels, periodStartMs / 1000),
  );
  gauge("sluice_budget_reset_timestamp_seconds", (self, labels, { resetsAtMs }) => {
    if (resetsAtMs !== null) self.set(labels, resetsAtMs / 1000);
  });
}
