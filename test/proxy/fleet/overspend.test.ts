/** A hard budget is never overspent, whatever the concurrency and whatever dies, and nearly all of it can be used. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { periodAt } from "../../../proxy/config/periods.ts";
import { RedisStore } from "../../../proxy/fleet/redis.ts";
import { eventually } from "../../harness/gateway.ts";
import { type Redis, startRedis } from "../../harness/redis.ts";
import { seeded } from "../../harness/seeded.ts";
import { type Bill, type Fleet, hammer, startBiller, startFleet, type Tally } from "./fleet.ts";

const calls = Number(process.env["OVERSPEND_CALLS"] ?? 10_000);
const callers = 400;
/** Average cost of a call: 20 tokens in, half of 110 out. */
const amountNanoUsd = calls * (20 * 2_500 + 55 * 10_000);
const amount = (amountNanoUsd / 1e9).toFixed(9);

interface Outcome {
  bill: Bill;
  used: number;
  spent: number;
  tally: Tally;
  /** Share of the budget that the provider had billed when the first call was refused. */
  atFirstRefusal: number;
  /** false: the machine was too busy for that many calls, and how much of the budget can be used is not known. */
  inTime: boolean;
}

interface Scene {
  redis: Redis;
  fleet: Fleet;
}

/** Of one play, so that four of them end well before the runner's own limit. */
const maxMs = 90_000;

/** `reach`: until this much of the budget is billed, or time is up. */
async function play(
  clocks: number[],
  during: (scene: Scene, reach: (share: number) => Promise<unknown>) => Promise<void>,
): Promise<Outcome> {
  const redis = await startRedis();
  const random = seeded(7);
  const { upstream, bill } = await startBiller(random, 60);
  const budgets = [{ kind: "Budget", metadata: { name: "hard" }, spec: { amount, period: "Total" } }];
  const fleet = await startFleet({ proxies: 4, stateUrl: redis.url, upstreamUrl: upstream.url, budgets, clocks });
  after(async () => {
    await fleet.stop();
    await upstream.close();
    await redis.stop();
  });
  let atFirstRefusal = 0;
  const began = performance.now();
  const deadline = began + maxMs;
  let quiet = { refused: 0, completed: -1, atMs: 0 };
  // Ends when nothing was billed for three seconds in which calls were refused.
  const over = (tally: Tally): boolean => {
    const now = performance.now();
    if (bill.completed !== quiet.completed) quiet = { refused: tally.refused, completed: bill.completed, atMs: now };
    return now > deadline || (tally.refused > quiet.refused + 200 && now - quiet.atMs > 3_000);
  };
  const running = hammer(
    fleet.urls,
    callers,
    random,
    () => (atFirstRefusal = (bill.completed + bill.left) / amountNanoUsd),
    over,
  );
  const reached = (share: number): boolean => bill.completed >= share * amountNanoUsd || performance.now() > deadline;
  await during({ redis, fleet }, (share) => eventually(() => reached(share), 2 * maxMs));
  await running.done;
  const inTime = performance.now() <= deadline;
  const store = RedisStore.open(redis.url, null, null);
  after(() => store.close());
  const { startMs } = periodAt("Total", "UTC", Date.now());
  const reading = await eventually(
    async () => (await store.readBudget("default/hard", startMs).catch(() => []))[0] ?? null,
  );
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  process.stdout.write(
    `# budget ${amount}: billed ${((bill.completed / amountNanoUsd) * 100).toFixed(2)} % (streams left ${((bill.left / amountNanoUsd) * 100).toFixed(2)} %, begun ${((bill.begun / amountNanoUsd) * 100).toFixed(2)} %), store used ${((reading.used / amountNanoUsd) * 100).toFixed(2)} % spent ${((reading.spent / amountNanoUsd) * 100).toFixed(2)} %, at the first refusal ${(atFirstRefusal * 100).toFixed(2)} %; ${bill.calls} calls in ${seconds} s ${JSON.stringify(running.tally)}\n`,
  );
  return { bill, used: reading.used, spent: reading.spent, tally: running.tally, atFirstRefusal, inTime };
}

/** `nearlyAll`: what of the budget has to be at 99 % at least. */
function assertHeld({ bill, used, inTime, ...rest }: Outcome, nearlyAll: "used" | "spent"): void {
  assert.ok(bill.completed <= amountNanoUsd, `billed ${bill.completed} of ${amountNanoUsd}`);
  assert.ok(used <= amountNanoUsd, `the store counts ${used} of ${amountNanoUsd}`);
  const part = nearlyAll === "used" ? used : rest.spent;
  if (inTime) assert.ok(part >= 0.99 * amountNanoUsd, `${part} of ${amountNanoUsd} ${nearlyAll}`);
  else process.stdout.write(`# time was up; ${part} of ${amountNanoUsd} were ${nearlyAll}\n`);
}

test("four proxies and four hundred callers: never overspent, and at least 99 % is used", async () => {
  assertHeld(await play([0, 0, 0, 0], async () => undefined), "spent");
});

test("the same with clocks two seconds apart", async () => {
  assertHeld(await play([0, 2_000, -2_000, 1_000], async () => undefined), "spent");
});

test("the same with the store gone and back, empty, in the middle", async () => {
  const outcome = await play([0, 0, 0, 0], async ({ redis }, reach) => {
    await reach(0.4);
    await redis.kill();
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    await redis.startAgain();
  });
  assertHeld(outcome, "used");
});

test("the same with a proxy killed outright in the middle", async () => {
  const outcome = await play([0, 0, 0, 0], async ({ fleet }, reach) => {
    await reach(0.3);
    await fleet.children[1]?.end("SIGKILL");
    await reach(0.5);
    await fleet.start(1);
  });
  assertHeld(outcome, "used");
});
