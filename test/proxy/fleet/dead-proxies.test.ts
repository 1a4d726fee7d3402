/** Of a killed proxy's lease, only what its calls under way had reserved stays charged; the rest can be used again. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis as Client } from "ioredis";
import { periodAt } from "../../../proxy/config/periods.ts";
import { RedisStore } from "../../../proxy/fleet/redis.ts";
import { heldTtlMs, watchMs } from "../../../proxy/fleet/store.ts";
import { answered, startBilling } from "../../harness/billing-upstream.ts";
import { eventually } from "../../harness/gateway.ts";
import { startRedis } from "../../harness/redis.ts";
import { clear, prices, startFleet } from "./fleet.ts";

const amountNanoUsd = 300_000_000;
const maxTokens = 400;
const callersEach = 4;
const body = (id: string): string =>
  JSON.stringify({
    model: "gpt-4o",
    user: `fine:${id}`,
    max_tokens: maxTokens,
    messages: [{ role: "user", content: "How are you?" }],
  });
/** The most that one call can cost: each byte counts as a token. */
const worstNanoUsd = (body("c1000").length + 200) * prices.input + maxTokens * prices.output;

test("the unused leases of killed proxies come back though the store is slow, and all that was billed is counted", async () => {
  const biller = await startBilling(
    {
      fine: async (answer, attempt) => {
        await sleep(300);
        await answered(answer, attempt);
      },
    },
    () => 40,
  );
  const redis = await startRedis();
  const amount = (amountNanoUsd / 1e9).toFixed(9);
  const budgets = [{ kind: "Budget", metadata: { name: "hard" }, spec: { amount, period: "Total" } }];
  const fleet = await startFleet({ proxies: 4, stateUrl: redis.url, upstreamUrl: biller.upstream.url, budgets });
  const admin = new Client(redis.url, { retryStrategy: () => 200, maxRetriesPerRequest: null });
  admin.on("error", () => undefined);
  // A slow store: answers are up to 80 ms late, half of the time.
  const slow = setInterval(() => void admin.call("CLIENT", "PAUSE", "80", "ALL").catch(() => undefined), 160);
  after(async () => {
    clearInterval(slow);
    admin.disconnect();
    await fleet.stop();
    await biller.upstream.close();
    await redis.stop();
  });
  const billed = (): number => biller.attempts.reduce((sum, { nanoUsd }) => sum + nanoUsd, 0);
  const alive = fleet.urls.map(() => true);
  let ids = 0;
  let lastAnswerMs = Date.now();
  let lastRefusal = "";
  const over = (): boolean => Date.now() - lastAnswerMs > heldTtlMs + watchMs + 5_000;
  const caller = async (proxy: number): Promise<void> => {
    while (alive[proxy] && !over()) {
      const response = await fetch(`${fleet.urls[proxy]}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
        body: body(`c${ids++}`),
      }).catch(() => null);
      const text = await response?.text().catch(() => "");
      if (response?.status === 200) lastAnswerMs = Date.now();
      else {
        if (response?.status === 429) lastRefusal = text ?? "";
        await sleep(100);
      }
    }
  };
  const callers = fleet.urls.flatMap((_, proxy) => Array.from({ length: callersEach }, () => caller(proxy)));
  let kills = 0;
  for (const [proxy, share] of [0.15, 0.3, 0.45].entries()) {
    await eventually(() => billed() >= share * amountNanoUsd, 60_000);
    alive[proxy] = false;
    await fleet.children[proxy]?.end("SIGKILL");
    kills++;
  }
  await Promise.all(callers);
  const store = RedisStore.open(redis.url, null, null);
  const { startMs } = periodAt("Total", "UTC", Date.now());
  const reading = await eventually(
    async () => (await store.readBudget("default/hard", startMs).catch(() => []))[0] ?? null,
  );
  await store.close();
  const stuck = amountNanoUsd - billed();
  const { spent } = reading;
  process.stdout.write(
    `# ${kills} kills: ${((100 * stuck) / amountNanoUsd).toFixed(1)} % of the budget can't be used, ${((100 * spent) / billed()).toFixed(1)} % of the bill is counted (${(stuck / worstNanoUsd).toFixed(1)} calls at their most); ${lastRefusal}\n`,
  );
  assert.ok(spent >= billed(), `the store counts ${spent}, billed were ${billed()}`);
  assert.ok(stuck >= 0, `billed ${billed()} of ${amountNanoUsd}`);
  assert.ok(stuck <= (kills * (callersEach + 1) + 1) * worstNanoUsd, `${stuck} of ${amountNanoUsd} can't be used`);
  const left = Number(/has USD ([\d.]+) left/.exec(lastRefusal)?.[1]) * 1e9;
  assert.ok(left < worstNanoUsd, lastRefusal);
  assert.doesNotMatch(lastRefusal, /held for calls under way/);
});
