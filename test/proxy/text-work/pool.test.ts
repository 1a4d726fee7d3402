/** Threads start with the first job, are shared fairly, and never outlive a job that takes too long. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { afterEach, describe, it } from "node:test";
import type { MaskConfig } from "../../../proxy/config/masking.ts";
import { isFailure } from "../../../proxy/failure.ts";
import type { RequestJob } from "../../../proxy/text-work/job.ts";
import { TextPool, usualBounds } from "../../../proxy/text-work/pool.ts";
import { eventually } from "../../harness/gateway.ts";

/** Reads each character some 14 µs long, as it could begin a match anywhere. */
const costly: MaskConfig = {
  detect: [],
  custom: [{ name: "Word", pattern: "(?i)[\\pL ]{0,150}secret", replacement: null }],
  mode: "Replace",
  answers: false,
};
const plain: MaskConfig = { ...costly, detect: ["Email"], custom: [] };

function jobOf(content: string, mask: MaskConfig = plain, guard: RequestJob["guard"] = null): RequestJob {
  const bytes = Buffer.from(JSON.stringify({ model: "m", messages: [{ role: "user", content }] }));
  return { kind: "request", bytes, format: "openai.chat", member: "messages", guard, mask };
}
/** Takes `thousands` × about 14 ms. */
const slow = (thousands: number): RequestJob => jobOf(`${"a".repeat(thousands * 1_000)} secret`, costly);

describe("threads for texts", () => {
  let pool: TextPool;
  const start = (bounds: Partial<ConstructorParameters<typeof TextPool>[0]> = {}): TextPool => {
    pool = new TextPool({ threads: 2, ...usualBounds, ...bounds });
    return pool;
  };
  afterEach(() => pool.close());

  it("start when there is work, and end when there is none", async () => {
    start({ idleMs: 1 });
    assert.equal(pool.size.threads, 0);
    const read = await pool.run("a", jobOf("I am a@b.co"));
    assert.ok(!isFailure(read) && read.bytes !== null);
    assert.match(Buffer.from(read.bytes).toString(), /I am \[EMAIL\]/);
    assert.deepEqual(read.counts, { Email: 1 });
    await eventually(() => pool.size.threads === 0);
  });

  it("give a guard's refusal, and what placeholders stand for", async () => {
    start();
    const rules = { deny: ["(?i)bomb"], allow: null, maxPromptBytes: null };
    const denied = await pool.run("a", jobOf("a BOMB", plain, rules));
    assert.ok(isFailure(denied) && denied.code === "prompt_denied");
    const hidden = await pool.run("a", jobOf("I am a@b.co", { ...plain, mode: "Placeholder" }));
    assert.ok(!isFailure(hidden));
    assert.deepEqual(hidden.placeholders, [["[EMAIL_1]", "a@b.co"]]);
  });

  it("serve another namespace before the second job of the first", async () => {
    start();
    const order: string[] = [];
    const run = async (namespace: string, job: RequestJob): Promise<void> => {
      await pool.run(namespace, job);
      order.push(namespace);
    };
    await Promise.all([run("a", slow(60)), run("a", slow(60)), run("a", slow(60)), run("b", jobOf("I am a@b.co"))]);
    assert.deepEqual(order, ["b", "a", "a", "a"]);
  });

  it("refuse what a namespace can't have waiting, and do so only to it", async () => {
    start({ threads: 1, maxWaiting: 2 });
    const jobs = [slow(20), jobOf("1"), jobOf("2")].map((job) => pool.run("a", job));
    const refused = await pool.run("a", jobOf("3"));
    assert.ok(isFailure(refused) && refused.code === "rate_limit_exceeded" && refused.retryAfterMs === 1_000);
    assert.ok(!isFailure(await pool.run("b", jobOf("1"))));
    assert.ok((await Promise.all(jobs)).every((read) => !isFailure(read)));
  });

  it("never refuse an answer that is there already", async () => {
    start({ threads: 1, maxWaiting: 1 });
    const running = [pool.run("a", slow(20)), pool.run("a", jobOf("1"))];
    const body = JSON.stringify({ choices: [{ message: { content: "I am a@b.co" } }] });
    const job = { kind: "answer", body, format: "openai.chat", mask: plain } as const;
    const read = await pool.run("a", job, { paid: true });
    assert.ok(!isFailure(read));
    assert.match(String(read.body), /I am \[EMAIL\]/);
    await Promise.all(running);
  });

  it("give up a job that takes too long, and go on with the next", async () => {
    start({ threads: 1, maxJobMs: 300 });
    const [endless, next] = await Promise.all([pool.run("a", slow(5_000)), pool.run("b", jobOf("I am a@b.co"))]);
    assert.ok(isFailure(endless) && endless.code === "prompt_too_large");
    assert.ok(!isFailure(next) || next.code === "prompt_too_large", "on a busy machine a thread may start that slowly");
  });

  it("forget a job whose caller has gone, and refuse all once closed", async () => {
    start({ threads: 1 });
    const running = pool.run("a", slow(20));
    const leaving = new AbortController();
    const left = pool.run("a", jobOf("1"), { signal: leaving.signal });
    leaving.abort();
    assert.ok(isFailure(await left));
    assert.equal(pool.size.waiting, 0);
    await running;
    pool.close();
    const late = await pool.run("a", jobOf("1"));
    assert.ok(isFailure(late) && late.code === "draining");
    await eventually(() => pool.size.threads === 0);
  });
});
