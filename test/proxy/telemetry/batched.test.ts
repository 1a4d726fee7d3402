import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Batched } from "../../../proxy/telemetry/batched.ts";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { startUpstream, type Upstream } from "../../harness/upstream.ts";

function batched() {
  const done: number[] = [];
  const failures: unknown[] = [];
  const timers: { ms: number; then: () => void }[] = [];
  const batch = new Batched<number>({
    each(one) {
      if (one < 0) throw new Error(`no ${one}`);
      done.push(one);
    },
    failed: (cause) => failures.push(cause),
    atOnce: (one) => one === 1_000,
    after: (ms, then) => timers.push({ ms, then }),
  });
  const add = (...some: number[]) => {
    for (const one of some) batch.add(one);
  };
  return { batch, add, done, failures, timers };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

describe("calls that are recorded a few at a time", () => {
  for (const [what, some, expected] of [
    ["wait while they are few", upTo(15), []],
    ["wait no longer when they are many", upTo(16), upTo(16)],
    ["keep their order over batches", upTo(40), upTo(32)],
    ["don't wait where one is not to be kept, and neither do those before it", [1, 2, 1_000], [1, 2, 1_000]],
  ] as const) {
    it(what, () => {
      const { add, done } = batched();
      add(...some);
      assert.deepEqual(done, expected);
    });
  }

  it("wait for no more than a moment, with one timer at a time", () => {
    const { add, done, timers } = batched();
    add(1, 2);
    assert.equal(timers.length, 1);
    assert.ok((timers[0]?.ms ?? 0) <= 50);
    timers.shift()?.then();
    assert.deepEqual(done, [1, 2]);
    assert.equal(timers.length, 0, "none while nothing waits");
    add(...upTo(17));
    assert.equal(timers.length, 1);
    timers.shift()?.then();
    assert.deepEqual(done, [1, 2, ...upTo(17)]);
  });

  it("are done when asked for, once", () => {
    const { batch, add, done, timers } = batched();
    add(1);
    batch.drain();
    batch.drain();
    timers.shift()?.then();
    assert.deepEqual(done, [1]);
  });

  it("don't fall with one that fails", () => {
    const { batch, add, done, failures } = batched();
    add(1, -2, 3);
    batch.drain();
    assert.deepEqual(done, [1, 3]);
    assert.deepEqual(failures.map(String), ["Error: no -2"]);
  });
});

describe("a proxy that records a few calls at a time", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  const clear = "slc_batched_alice_key_01";
  const call = async () => {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "Hi" }] }),
    });
    assert.equal(response.status, 200);
    await response.text();
  };

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway([
      provider("up", upstream.url, { models: [{ name: "m" }] }),
      secret("up-credentials", { apiKey: "sk" }),
      policy("all", { match: { models: ["m"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  it("counts all calls that are over by the time it is asked", async () => {
    for (let at = 1; at <= 3; at++) {
      await call();
      assert.match(await gateway.metrics(), new RegExp(`^ai_gateway_requests_total{.*status="200"} ${at}$`, "m"));
    }
  });

  it("logs a call that no other follows", async () => {
    // Taken once: looking it up again would write what waits.
    const { logs } = gateway;
    const known = logs.length;
    await call();
    await eventually(() => logs.slice(known).some((line) => line["msg"] === "call"));
  });

  it("logs what is left when it is closed", async () => {
    const { logs } = gateway;
    const known = logs.length;
    await call();
    await gateway.close();
    assert.equal(logs.slice(known).filter((line) => line["msg"] === "call").length, 1);
  });
});
