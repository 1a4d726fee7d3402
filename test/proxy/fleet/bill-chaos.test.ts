/** Hard budgets hold by the provider's own bill while calls break in every way, and proxies and the store die. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis as Client } from "ioredis";
import { answered, refusedOnce, type Script, startBilling } from "../../harness/billing-upstream.ts";
import { startRedis } from "../../harness/redis.ts";
import { seeded } from "../../harness/seeded.ts";
import { clear, startFleet } from "./fleet.ts";

const random = seeded(5);

const breaks: Script = async (answer) => {
  if (answer.stream) answer.charge(await answer.say(Math.ceil(answer.words / 2)));
  else answer.charge(answer.words);
  answer.response.destroy();
};
const untilClosed: Script = async (answer) => {
  answer.charge(await answer.say(answer.words, 5));
  if (!answer.response.destroyed) {
    answer.finish();
    answer.endStream();
  }
};
const silent: Script = async (answer) => {
  answer.charge(answer.stream ? 0 : answer.words);
  await once(answer.response, "close");
};

const biller = await startBilling(
  {
    fine: answered,
    breaks,
    "breaks once": (answer, attempt) => (attempt === 1 ? breaks : answered)(answer, attempt),
    "refused once": refusedOnce,
    leaves: untilClosed,
    "leaves early": silent,
  },
  () => 20 + Math.floor(random() * 60),
);
after(() => biller.upstream.close());

const faults = [
  "fine",
  "fine",
  "fine",
  "fine",
  "fine",
  "breaks",
  "breaks once",
  "refused once",
  "leaves",
  "leaves early",
];
let ids = 0;

/** Makes one call, which the caller may abandon. Resolves to its status, or 0 if there was none. */
async function call(url: string): Promise<number> {
  const fault = faults[Math.floor(random() * faults.length)] ?? "fine";
  const signal = fault.startsWith("leaves") ? AbortSignal.timeout(40) : AbortSignal.timeout(20_000);
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      signal,
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({
        model: "gpt-4o",
        user: `${fault}:c${ids++}`,
        stream: fault === "leaves" || random() < 0.5,
        max_tokens: 200,
        messages: [{ role: "user", content: "How are you?" }],
      }),
    });
    await response.text();
    return response.status;
  } catch {
    return 0;
  }
}

test("a hard budget is never billed beyond its amount, through faults, kills and losses of the store", async () => {
  const redis = await startRedis();
  const amountNanoUsd = 400_000_000;
  const budgets = [
    { kind: "Budget", metadata: { name: "hard" }, spec: { amount: (amountNanoUsd / 1e9).toFixed(9), period: "Total" } },
  ];
  const fleet = await startFleet({ proxies: 3, stateUrl: redis.url, upstreamUrl: biller.upstream.url, budgets });
  const admin = new Client(redis.url, { retryStrategy: () => 200, maxRetriesPerRequest: null });
  admin.on("error", () => undefined);
  after(async () => {
    admin.disconnect();
    await fleet.stop();
    await redis.stop();
  });
  const statuses = new Map<number, number>();
  let over = false;
  const callers = Array.from({ length: 24 }, async (_, at) => {
    for (let turn = at; !over; turn++) {
      const status = await call(fleet.urls[turn % fleet.urls.length] ?? "");
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status !== 200) await sleep(50);
    }
  });
  const chaos: (() => Promise<unknown>)[] = [
    async () => void (await fleet.children[1]?.end("SIGKILL")),
    () => fleet.start(1),
    () => admin.call("CLIENT", "PAUSE", "1500", "ALL"),
    () => admin.flushall(),
    () => redis.kill(),
    async () => {
      await sleep(1_500);
      await redis.startAgain();
    },
    async () => void (await fleet.children[2]?.end("SIGKILL")),
    () => fleet.start(2),
  ];
  for (const event of chaos) {
    await sleep(1_500);
    await event();
  }
  await sleep(4_000);
  over = true;
  await Promise.all(callers);
  const billed = biller.attempts.reduce((sum, { nanoUsd }) => sum + nanoUsd, 0);
  process.stdout.write(
    `# hard budget of ${amountNanoUsd} nano-USD: billed ${billed} (${((billed / amountNanoUsd) * 100).toFixed(1)} %) for ${biller.attempts.length} attempts of ${ids} calls ${JSON.stringify([...statuses])}\n`,
  );
  assert.ok(billed <= amountNanoUsd, `billed ${billed} of ${amountNanoUsd}`);
  assert.ok(billed >= 0.5 * amountNanoUsd, `only ${billed} of ${amountNanoUsd} could be used`);
});
