/** In what order, and how much at once, alerts are handed to channels; and who wakes whom. */
import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import type { Channel } from "../../operator/compile/alerts.ts";
import { AlertDispatcher } from "../../operator/delivery/dispatcher.ts";
import type { PendingAlert } from "../../operator/delivery/pending-alert.ts";
import type { Sent } from "../../operator/delivery/send.ts";
import { WakeTimer } from "../../operator/delivery/wake-timer.ts";

const channel = (secret: string): Channel => ({
  id: "webhook-1",
  place: "webhook alerts/url 1",
  type: "webhook",
  secret,
  signingKey: null,
  to: [],
  events: null,
  message: null,
});

/** A dispatcher over what is due until it is settled, whose sends end when the test says so. */
function dispatcher() {
  const due: PendingAlert[] = [];
  const underWay = new Map<string, (sent: Sent) => void>();
  const begun: string[] = [];
  const settled: string[] = [];
  let most = 0;
  const one = new AlertDispatcher({
    send: (alert) => {
      begun.push(alert.key);
      const { promise, resolve } = Promise.withResolvers<Sent>();
      underWay.set(alert.key, resolve);
      most = Math.max(most, underWay.size);
      return promise;
    },
    nowMs: () => 0,
    random: () => 1,
    changed: () => undefined,
    wake: (afterMs) => afterMs === 0 && one.dispatch(due),
    outcome: () => undefined,
  });
  return {
    begun,
    settled,
    most: () => most,
    dispatch: () => one.dispatch(due),
    add(key: string, incident: string, secret = "a") {
      const alert = {
        key,
        incident,
        event: "Spike",
        state: "Active",
        severity: "info",
        about: "",
        title: "",
        text: "",
        facts: {},
        atMs: 0,
      } as const;
      const meta = { name: "b", namespace: "a", uid: "u", generation: 1, createdAtMs: 0, labels: {} };
      const entry: PendingAlert = {
        kind: "Budget",
        meta,
        alert,
        channels: [channel(secret)],
        settled: () => {
          settled.push(key);
          due.splice(due.indexOf(entry), 1);
        },
      };
      due.push(entry);
    },
    async end(key: string, sent: Sent = { outcome: "done" }) {
      const resolve = underWay.get(key);
      assert.ok(resolve, `${key} is under way`);
      underWay.delete(key);
      resolve(sent);
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    },
  };
}

describe("alerts of one incident", () => {
  it("are sent to one receiver one after another, and to a second receiver meanwhile", async () => {
    const life = dispatcher();
    life.add("end", "i");
    life.add("beginning", "i");
    life.add("beginning elsewhere", "i", "b");
    life.add("another", "j");
    life.dispatch();
    life.dispatch();
    assert.deepEqual(life.begun, ["end", "beginning elsewhere", "another"]);
    await life.end("end");
    assert.deepEqual(life.begun.slice(3), ["beginning"]);
    await life.end("beginning");
    assert.deepEqual(life.settled, ["end", "beginning"]);
  });

  it("does not wait for a try that failed", async () => {
    const life = dispatcher();
    life.add("end", "i");
    life.add("beginning", "i");
    life.dispatch();
    await life.end("end", { outcome: "retry", why: "it answered 500", afterMs: null });
    assert.deepEqual(life.begun, ["end", "beginning"]);
  });
});

it("sends a receiver a few alerts at once, and all of them in the end", async () => {
  const life = dispatcher();
  const keys = Array.from({ length: 30 }, (_, at) => `k${at}`);
  for (const key of keys) life.add(key, key);
  life.dispatch();
  assert.equal(life.begun.length, 4);
  for (const key of keys) await life.end(key);
  assert.deepEqual([life.settled, life.most()], [keys, 4]);
});

describe("the clock of those who wait", () => {
  it("rings once for all, at the soonest", (context) => {
    const timers = mock.timers;
    timers.enable({ apis: ["setTimeout"] });
    context.after(() => timers.reset());
    let rings = 0;
    // As a look does: each of 20 that wait asks to be woken again.
    const clock = new WakeTimer(() => {
      rings++;
      ask();
    });
    const ask = (): void => {
      for (let at = 0; at < 20; at++) clock.wake(1_000 + 100 * at);
    };
    ask();
    ask();
    clock.wake(500);
    timers.tick(502);
    assert.equal(rings, 1);
    for (let second = 0; second < 20; second++) timers.tick(1_001);
    assert.equal(rings, 21);
    clock.stop();
    timers.tick(5_000);
    assert.equal(rings, 21);
  });
});
