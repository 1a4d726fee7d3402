/** Calls during which the system's clock is set: they take as long, and cost as much, as they would otherwise. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const alice = "slc_clock_alice_0000001";
const price = {
  inputPerMillion: "0",
  outputPerMillion: "0",
  compute: { perGPUHour: "3600", gpus: 1, callsAtOnce: 1 },
};
/** Of the price above. */
const nanoPerMs = 1_000_000;

const hourMs = 3_600_000;
/** What the system's clock shows at a real time, once it was set at another. */
const steps: readonly (readonly [what: string, shows: (realMs: number, setAtMs: number) => number])[] = [
  ["stands still", (_, setAtMs) => setAtMs],
  ["is set back by an hour", (realMs) => realMs - hourMs],
  ["is set ahead by a day", (realMs) => realMs + 24 * hourMs],
];

describe("a call during which the system's clock", () => {
  const realNow = Date.now;
  let shown: (realMs: number) => number = (realMs) => realMs;
  let failing: Upstream;
  let serving: Upstream;
  let gateway: TestGateway;

  before(async () => {
    // Before the gateway starts: its parts get this function.
    Date.now = () => shown(realNow());
    failing = await startUpstream((_request, response) => json(response, 503, { error: { message: "busy" } }));
    serving = await startUpstream(openai);
    const target = (name: string, url: string) => [
      provider(name, url, { models: [{ name: "m", price }], retry: { attempts: 1 } }),
      secret(`${name}-credentials`, { apiKey: "sk-1" }),
    ];
    gateway = await startGateway([
      ...target("failing", failing.url),
      ...target("serving", serving.url),
      policy("all", {
        match: { models: ["m"] },
        routing: {
          strategy: "Priority",
          targets: [
            { provider: { name: "failing" }, priority: 1 },
            { provider: { name: "serving" }, priority: 2 },
          ],
        },
      }),
      ...key("alice", alice),
    ]);
  });
  after(async () => {
    Date.now = realNow;
    await gateway.close();
    await serving.close();
    await failing.close();
  });

  for (const [what, shows] of steps)
    for (const stream of [false, true])
      it(`${what}${stream ? ", streamed" : ""}`, async () => {
        failing.answer((_request, response) => {
          const setAtMs = realNow();
          shown = (realMs) => shows(realMs, setAtMs);
          json(response, 503, { error: { message: "busy" } });
        });
        const began = performance.now();
        const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
          method: "POST",
          headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
          body: JSON.stringify({ model: "m", stream, messages: [{ role: "user", content: "Hi" }] }),
        });
        const body = await answer.text();
        await gateway.status();
        const line = gateway.logs.findLast((one) => "cost_nano_usd" in one) ?? {};
        const took = performance.now() - began;
        shown = (realMs) => realMs;
        assert.equal(answer.status, 200, body);
        const cost = Number(line["cost_nano_usd"]);
        assert.ok(cost >= nanoPerMs && cost <= Math.ceil(took) * nanoPerMs, `${cost} for at most ${took} ms`);
        const duration = Number(line["duration_ms"]);
        assert.ok(duration >= 0 && duration <= Math.ceil(took), `${duration} ms of at most ${took}`);
      });

  it("leaves no time below zero in metrics", async () => {
    assert.doesNotMatch(await gateway.metrics(), /_(sum|bucket|count)(\{[^}]*\})? -/);
  });
});
