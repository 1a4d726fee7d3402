/** A store that is gone for a while and comes back empty: what calls didn't use of a budget can be used. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { Refused } from "../../../proxy/fleet/claim-set.ts";
import { Quotas, type Reservation } from "../../../proxy/fleet/quotas.ts";
import type { CounterSpec } from "../../../proxy/fleet/slice.ts";
import type { FleetStore } from "../../../proxy/fleet/store.ts";
import { RoughStore, VirtualTime } from "./virtual.ts";

const limit = 4_000;
const counter: CounterSpec = {
  key: "b|ns/x|0|",
  kind: "period",
  limit,
  windowMs: 0,
  seed: 0,
  expiresAtMs: null,
  onStateLoss: "deny",
};

it("a budget loses nothing of what calls give back while its store is gone", async () => {
  const time = new VirtualTime();
  const store = new RoughStore(time.nowMs);
  const of = (holder: string): Quotas => new Quotas(store as unknown as FleetStore, holder, time.clock());
  const fleet = [of("p0"), of("p1")] as const;
  await time.pass(1_100);
  const take = async (quotas: Quotas, amount: number): Promise<Reservation | Refused | undefined> => {
    const got: { answer?: Reservation | Refused } = {};
    void Promise.resolve(quotas.reserve([{ counter, amount }])).then((answer) => {
      got.answer = answer;
    });
    await time.pass(2_000);
    return got.answer;
  };
  let spent = 0;
  for (let round = 0; round < 3; round++) {
    const reservations: Reservation[] = [];
    for (const quotas of fleet) {
      const got = await take(quotas, 800);
      assert.ok(got !== undefined && !("refused" in got), `round ${round}`);
      reservations.push(got);
    }
    store.weather = "down";
    await time.pass(500);
    for (const reservation of reservations) reservation.settle([50]);
    spent += 100;
    await time.pass(6_000);
    store.forget();
    store.weather = "fair";
    await time.pass(8_000);
  }
  const rest = await take(fleet[0], limit - spent);
  assert.ok(rest !== undefined && !("refused" in rest), JSON.stringify(rest));
  for (const quotas of fleet) void quotas.close();
});
