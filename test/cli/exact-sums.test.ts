/** Sums of money beyond what a number holds exactly: 2^53 nano-USD are USD 9,007,199. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { rendered } from "../../cli/report-output.ts";
import { everyone } from "../../operator/console/viewer.ts";
import { costCsv } from "../../operator/console/views/cost.ts";
import type { LedgerRow } from "../../proxy/config/ledger.ts";
import { groupRows, inCurrency, nanoUsdOf, totalOf, usd } from "../../proxy/config/usage-report.ts";
import { ledgerRow } from "../harness/ledger-row.ts";
import fc from "../harness/property.ts";

const row = (user: string, costNanoUsd: number): LedgerRow => ledgerRow({ user, costNanoUsd });

const rows = fc.array(
  fc.record({ user: fc.constantFrom("a", "b"), cost: fc.maxSafeNat() }).map(({ user, cost }) => row(user, cost)),
  { minLength: 1, maxLength: 40 },
);
const sumOf = (all: readonly LedgerRow[]): bigint => all.reduce((sum, one) => sum + BigInt(one.costNanoUsd), 0n);
const text = (nano: bigint): string => {
  const digits = String(nano).padStart(10, "0");
  return `${digits.slice(0, -9)}.${digits.slice(-9).replace(/0{1,7}$/, "")}`;
};

describe("sums of money", () => {
  it("are exact in reports", () => {
    fc.assert(
      fc.property(rows, (all) => {
        const total = totalOf(all);
        const report = {
          groupBy: ["user"] as const,
          groups: groupRows(all, ["user"]),
          total,
          currency: null,
          notes: [],
        };
        const lines = JSON.parse(rendered(report, "json").out) as { user: string; cost_usd: string }[];
        for (const { user, cost_usd } of lines)
          assert.equal(cost_usd, text(sumOf(all.filter((one) => one.user === user))));
        assert.match(rendered(report, "table").out, new RegExp(` ${text(sumOf(all)).replace(".", "\\.")}$`));
      }),
    );
  });

  it("are exact in the console's CSV, the largest first", () => {
    fc.assert(
      fc.property(rows, (all) => {
        const [, ...lines] = costCsv(all, "user", everyone).trimEnd().split("\r\n");
        const costs = lines.map((line) => line.split(",").at(-1) ?? "");
        const expected = [...new Set(all.map(({ user }) => user))].map((user) =>
          sumOf(all.filter((one) => one.user === user)),
        );
        assert.deepEqual(costs, expected.sort((a, b) => Number(b - a)).map(text));
      }),
    );
  });

  it("are exact in another currency, and as text", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 24n }), fc.integer({ min: 1, max: 999_999_999 }), (nano, rate) => {
        assert.equal(usd(nano), text(nano));
        const there = (nano * BigInt(rate) + 500_000n) / 1_000_000n;
        assert.equal(inCurrency(nano, { code: "EUR", perUsdMillionths: rate }), text(there));
      }),
    );
    assert.equal(nanoUsdOf("9007199.254740991"), Number.MAX_SAFE_INTEGER);
  });
});
