/** A refusal tells apart what is used, what calls under way hold, and what a lost proxy holds. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { Refused } from "../../../proxy/fleet/claim-set.ts";
import { Quotas, type Reservation } from "../../../proxy/fleet/quotas.ts";
import type { FleetStore } from "../../../proxy/fleet/store.ts";
import { type BudgetSubject, type BudgetWith, budgetCharges } from "../../../proxy/pipeline/budget-claims.ts";
import { RoughStore, VirtualTime } from "./virtual.ts";

const usd = 1_000_000_000;
const budget = {
  id: "ns/hard",
  namespace: "ns",
  amountNanoUsd: 3 * usd,
  enforcement: "Hard",
  period: "Total",
  timeZone: "UTC",
  per: null,
  seeds: [],
  throttle: null,
  onStateLoss: "deny",
  scope: { providers: null },
};

it("tells apart what is used, held for calls, and held by a proxy that has stopped reporting", async () => {
  const time = new VirtualTime();
  const store = new RoughStore(time.nowMs);
  const fleet = ["a", "b"].map((name) => new Quotas(store as unknown as FleetStore, name, time.clock()));
  const [alive, dying] = fleet as [Quotas, Quotas];
  await time.pass(1_100);
  const chargesOf = (quotas: Quotas, nanoUsd: number) => {
    const call = {
      identity: { anonymous: true, namespace: "ns" },
      budgets: [budget],
      targets: [],
      worst: () => ({ nanoUsd, cap: null }),
    } as unknown as BudgetSubject;
    const context: BudgetWith = { quotas, nowMs: time.nowMs, random: () => 1 };
    const made = budgetCharges(call, context);
    assert.ok("charges" in made);
    return made.charges;
  };
  const ask = async (quotas: Quotas, amount: number): Promise<Reservation | string> => {
    const charges = chargesOf(quotas, amount);
    const got: { answer?: Reservation | Refused } = {};
    void Promise.resolve(quotas.reserve(charges)).then((answer) => {
      got.answer = answer;
    });
    await time.pass(2_000);
    assert.ok(got.answer !== undefined);
    return "refused" in got.answer ? (charges[0]?.refuse(got.answer).message ?? "") : got.answer;
  };
  const taken = async (quotas: Quotas, amount: number): Promise<Reservation> => {
    const got = await ask(quotas, amount);
    assert.ok(typeof got !== "string", String(got));
    return got;
  };
  (await taken(alive, usd)).settle([usd]);
  const held = await taken(alive, usd / 2);
  await taken(dying, usd / 4);
  await time.pass(3_000);
  const first = String(await ask(alive, 2 * usd));
  assert.match(first, /has USD 1\.25 left, besides USD 0\.75 that is held for calls under way, and/);
  // One proxy dies together with the store, and what it did is in an answer that nobody has.
  void dying.close();
  store.forget();
  await time.pass(15_000);
  const later = String(await ask(alive, 2 * usd));
  assert.match(
    later,
    /has USD 1\.25 left, besides USD 0\.50 that is held for calls under way and USD 0\.25 that is held by a proxy that has stopped reporting, and/,
  );
  held.settle([usd / 2]);
  await taken(alive, usd);
  void alive.close();
});
