/** Whatever the store does, no span of a window's length sees more than the limit. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Claim } from "../../../proxy/fleet/claim-set.ts";
import { MemoryStore } from "../../../proxy/fleet/memory.ts";
import { Quotas } from "../../../proxy/fleet/quotas.ts";
import type { CounterSpec } from "../../../proxy/fleet/slice.ts";
import type { FleetStore, StoreOp, StoreReply } from "../../../proxy/fleet/store.ts";
import { sampled } from "../../harness/sampled.ts";
import { seeded } from "../../harness/seeded.ts";
import { VirtualTime } from "./virtual.ts";

const limit = 50;
const windowMs = 5_000;
const counter: CounterSpec = {
  key: "w|x",
  kind: "window",
  limit,
  windowMs,
  seed: 0,
  expiresAtMs: null,
  onStateLoss: "allow",
};

/** How the store behaves over time. */
interface Weather {
  /** One-way delay in milliseconds. */
  delayMs: number;
  down: boolean;
}

/** A store behind a slow or broken connection. */
class FarStore implements Pick<FleetStore, "sync" | "heartbeat" | "run"> {
  inner: MemoryStore;
  readonly #time: VirtualTime;
  readonly #weather: () => Weather;

  constructor(time: VirtualTime, weather: () => Weather) {
    this.#time = time;
    this.#weather = weather;
    this.inner = new MemoryStore(time.nowMs);
  }

  get run(): string {
    return this.inner.run;
  }

  async #far<T>(work: () => T): Promise<T> {
    const { delayMs, down } = this.#weather();
    if (down) throw new Error("down");
    const clock = this.#time.clock();
    if (delayMs > 0) await new Promise<void>((resolve) => clock.after(delayMs, resolve));
    const result = work();
    if (delayMs > 0) await new Promise<void>((resolve) => clock.after(delayMs, resolve));
    return result;
  }

  sync(holder: string, ops: readonly StoreOp[]): Promise<StoreReply[]> {
    return this.#far(() => this.inner.sync(holder, ops));
  }

  heartbeat(holder: string): Promise<number> {
    return this.#far(() => this.inner.heartbeat(holder));
  }
}

const weathers: Record<string, (ms: number) => Weather & { forget?: boolean }> = {
  "answers at once": () => ({ delayMs: 0, down: false }),
  "answers after 70 ms": () => ({ delayMs: 35, down: false }),
  "answers after 0 and 70 ms in turns": (ms) => ({ delayMs: ms % 2_700 < 1_200 ? 0 : 35, down: false }),
  "answers after 0 and 400 ms in turns": (ms) => ({ delayMs: ms % 2_700 < 1_200 ? 0 : 200, down: false }),
  "answers after 900 ms at times": (ms) => ({ delayMs: ms % 7_000 < 3_000 ? 450 : 0, down: false }),
  "is gone for 3 s at times": (ms) => ({ delayMs: 0, down: ms % 11_000 > 8_000 }),
  "is gone for long": (ms) => ({ delayMs: 0, down: ms > 12_000 && ms < 30_000 }),
  "forgets at times": (ms) => ({ delayMs: 0, down: false, forget: ms % 9_000 < 20 }),
  "is gone and comes back empty": (ms) => ({
    delayMs: 0,
    down: ms % 12_000 > 9_000,
    forget: ms % 12_000 > 9_000 && ms % 12_000 < 9_030,
  }),
};

/** Returns the most that passed in any span of the window's length, and the total. */
async function play(proxies: number, weather: (ms: number) => Weather & { forget?: boolean }, bursts: boolean) {
  const time = new VirtualTime();
  const beganMs = time.nowMs();
  const far = new FarStore(time, () => weather(time.nowMs() - beganMs));
  const fleet = Array.from(
    { length: proxies },
    (_, at) => new Quotas(far as unknown as FleetStore, `p${at}`, time.clock()),
  );
  const random = seeded(proxies);
  await time.pass(1_500);
  const admitted: number[] = [];
  const claim: Claim = { counter, amount: 1 };
  const ask = (): void => {
    const got = (fleet[Math.floor(random() * proxies)] as Quotas).reserve([claim]);
    void Promise.resolve(got).then((answer) => {
      if ("refused" in answer) return;
      admitted.push(time.nowMs());
      answer.settle([1]);
    });
  };
  for (let ms = 0; ms < 40_000; ms += 20) {
    if (weather(time.nowMs() - beganMs).forget) far.inner = new MemoryStore(time.nowMs);
    if (bursts) for (let call = 0; call < (ms % 2_600 === 0 ? 80 : 0); call++) ask();
    else ask();
    await time.pass(20);
  }
  admitted.sort((a, b) => a - b);
  let most = 0;
  let from = 0;
  for (const [to, atMs] of admitted.entries()) {
    while ((admitted[from] ?? 0) <= atMs - windowMs) from++;
    most = Math.max(most, to - from + 1);
  }
  return { most, all: admitted.length };
}

describe(`a limit of ${limit} in 5 s`, () => {
  const rows = Object.entries(weathers).flatMap(([name, weather]) =>
    [1, 2, 4, 8].flatMap((proxies) => [false, true].map((bursts) => ({ name, weather, proxies, bursts }))),
  );
  for (const { name, weather, proxies, bursts } of sampled(rows))
    it(`holds where the store ${name}, with ${proxies} proxies${bursts ? ", in bursts" : ""}`, async () => {
      const { most, all } = await play(proxies, weather, bursts);
      assert.ok(most <= limit, `${most} in a span; ${all} in all`);
      // The limit stays usable: a good part of what it allows in 40 s passes.
      assert.ok(all >= 0.25 * limit * 8, `${all} in all`);
    });
});
