import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { objectAlerts } from "../../../crds/types/object-alerts.ts";
import { alertTransitions } from "../../../operator/cluster/report.ts";
import { withPatches } from "../../../operator/compile/verdict.ts";
import { AlertDispatcher, type AlertOutcome } from "../../../operator/delivery/dispatcher.ts";
import { mailOf, pagerDutyBody } from "../../../operator/delivery/message.ts";
import type { Sent } from "../../../operator/delivery/send.ts";
import { ObjectAlertBook } from "../../../operator/loops/alerts/book.ts";
import { quietMs } from "../../../operator/loops/alerts/state.ts";
import { compiled, digest, other, provider, reading, report, type Spec, watchOf } from "./kit.ts";

describe("an alert of a provider", () => {
  const start = Date.parse("2027-03-01T00:00:00Z");
  const alerts = [
    { webhook: { secretRef: { name: "alerts", key: "url" } } },
    { pagerDuty: { secretRef: { name: "alerts", key: "key" } }, events: ["ErrorRate"] },
  ];
  const spec = { alertWhen: { errorRate: ">5%" }, alerts };

  /** An operator's life: passes with what proxies report, its status kept between lives. */
  function operator(
    answer: (channel: string, nowMs: number, state: string) => Sent | Promise<Sent> = () => ({ outcome: "done" }),
  ) {
    let nowMs = start;
    let status: Record<string, unknown> = {};
    let book = new ObjectAlertBook();
    let given: Spec | null = spec;
    let uid = "1";
    let again = false;
    let values = new Map([digest, other].map((one) => [one, "clear"]));
    const sent: string[] = [];
    const texts: string[] = [];
    const events: string[] = [];
    const outcomes: string[] = [];
    const tests: string[] = [];
    const make = () =>
      new AlertDispatcher({
        send: async (one, { id, secret }, _namespace, kept) => {
          assert.equal(values.get(secret) ?? kept?.get(secret), "clear", "what the Secret held is there");
          const result = await answer(id, nowMs, one.state);
          if (result.outcome === "done") {
            sent.push(`${id} ${one.event} ${one.state}`);
            texts.push(one.text);
          }
          return result;
        },
        nowMs: () => nowMs,
        random: () => 1,
        changed: () => undefined,
        wake: (afterMs) => (again ||= afterMs === 0),
        outcome: (one: AlertOutcome) => outcomes.push(`${one.channel} ${one.result}`),
      });
    let dispatcher = make();
    return {
      sent,
      texts,
      events,
      outcomes,
      tests,
      status: () => status,
      change: (next: Spec) => (given = next),
      /** With the Secret that it refers to. */
      remove() {
        given = null;
        status = {};
        values = new Map();
      },
      make(next: Spec) {
        given = next;
        status = {};
        values = new Map([digest, other].map((one) => [one, "clear"]));
        uid += "1";
      },
      /** null: no proxy answers. */
      async pass(
        open: boolean | null,
        errors = 0,
        afterMs = 15_000,
        annotations: Record<string, string> = {},
        settle = true,
      ) {
        nowMs += afterMs;
        const one = provider(given ?? {}, status, annotations);
        const objects = given === null ? [] : [{ ...one, meta: { ...one.meta, uid } }];
        book.learn(objects);
        const all = compiled(objects);
        const proxies = open === null ? [] : [report(true, open ? ["m"] : [])];
        const [watch] = all.alertWatches;
        const patches = book.report(
          all,
          proxies,
          open === null || watch === undefined ? [] : [reading(watch, { calls: 100, errors })],
          nowMs,
          values,
        );
        all.verdicts = withPatches(all.verdicts, patches);
        const after = { ...all.verdicts[0]?.status };
        objectAlerts.parse(after["alerts"] ?? []);
        for (const { condition, warning } of alertTransitions(status, after))
          events.push(`${warning ? "Warning" : "Normal"} ${condition.reason}`);
        status = JSON.parse(JSON.stringify(after));
        dispatcher.test(book.testsDue(all, nowMs));
        do {
          again = false;
          dispatcher.dispatch(book.due(all));
          if (settle) await dispatcher.idle();
        } while (again);
      },
      idle: () => dispatcher.idle(),
      forget: () => book.forget(),
      /** As when the clock rings between two passes. */
      async look(afterMs: number) {
        nowMs += afterMs;
        dispatcher.dispatch(book.due(compiled([])));
        await dispatcher.idle();
      },
      restart() {
        book = new ObjectAlertBook();
        dispatcher = make();
      },
    };
  }

  it("comes once when it begins and once when it is over, over restarts", async () => {
    const life = operator();
    await life.pass(false);
    await life.pass(true);
    await life.pass(true);
    life.restart();
    await life.pass(true);
    assert.deepEqual(life.sent, ["webhook-1 BreakerOpen Active"]);
    await life.pass(false, 0, quietMs / 2);
    await life.pass(true);
    assert.deepEqual(life.sent, ["webhook-1 BreakerOpen Active"], "it goes to and fro");
    await life.pass(false);
    await life.pass(null, 0, 3 * quietMs);
    life.restart();
    await life.pass(false);
    assert.equal(life.sent.length, 1, "nobody could tell for long enough that it is over");
    await life.pass(false, 0, quietMs);
    await life.pass(false);
    life.restart();
    await life.pass(false);
    assert.deepEqual(life.sent, ["webhook-1 BreakerOpen Active", "webhook-1 BreakerOpen Over"]);
    await life.pass(true);
    assert.deepEqual(life.sent.slice(2), ["webhook-1 BreakerOpen Active"], "the next time is reported again");
    assert.deepEqual(life.events, ["Warning BreakerOpened", "Normal BreakerClosed", "Warning BreakerOpened"]);
  });

  it("goes to the channels that ask for it", async () => {
    const life = operator();
    await life.pass(false, 6);
    assert.deepEqual(life.sent, ["webhook-1 ErrorRate Active", "pagerDuty-1 ErrorRate Active"]);
    const [entry] = objectAlerts.parse(life.status()["alerts"]);
    assert.deepEqual(
      [entry?.value, entry?.bound, entry?.detail],
      ["6%", "5%", "6% of 100 attempts failed in the last 5 min"],
    );
    await life.pass(false, 5);
    await life.pass(false, 5, quietMs);
    assert.deepEqual(life.sent.slice(2), ["webhook-1 ErrorRate Over", "pagerDuty-1 ErrorRate Over"]);
  });

  it("that never reached a channel while it lasted does so before the news that it is over", async () => {
    let well = false;
    const life = operator((channel) =>
      well || channel !== "webhook-1"
        ? { outcome: "done" }
        : { outcome: "retry", why: "it answered 500", afterMs: null },
    );
    await life.pass(true);
    await life.pass(false);
    await life.pass(false, 0, quietMs);
    assert.deepEqual([life.sent, life.events], [[], ["Warning BreakerOpened", "Normal BreakerClosed"]]);
    life.restart();
    well = true;
    await life.pass(false);
    await life.pass(false);
    await life.pass(false);
    assert.deepEqual(life.sent, ["webhook-1 BreakerOpen Active", "webhook-1 BreakerOpen Over"]);
  });

  it("that is given up spares its channel the news that it is over", async () => {
    const life = operator((channel) =>
      channel === "webhook-1" ? { outcome: "never", why: "it answered 404" } : { outcome: "done" },
    );
    await life.pass(true);
    await life.pass(true);
    life.restart();
    await life.pass(false);
    await life.pass(false, 0, quietMs);
    await life.pass(false);
    assert.deepEqual([life.sent, life.outcomes], [[], ["webhook-1 given_up"]]);
  });

  it("is over when it is no longer watched, and is kept while the spec can't be read", async () => {
    const life = operator();
    await life.pass(true);
    life.change({ ...spec, models: [{ name: "m" }, { name: "m" }] });
    await life.pass(true);
    assert.deepEqual(life.sent, ["webhook-1 BreakerOpen Active"]);
    life.change({ ...spec, models: "none" });
    await life.pass(true);
    assert.equal(objectAlerts.parse(life.status()["alerts"]).length, 1);
    life.change({ ...spec, alertWhen: { ...spec.alertWhen, breakerOpen: false } });
    await life.pass(true);
    await life.pass(true);
    assert.deepEqual(life.sent, ["webhook-1 BreakerOpen Active", "webhook-1 BreakerOpen Over"]);
    assert.equal(life.status()["alerts"], undefined);
  });

  const begun = "webhook-1 BreakerOpen Active";
  const over = "webhook-1 BreakerOpen Over";
  const hook = (key: string, more: Spec = {}): Spec => ({ webhook: { secretRef: { name: "alerts", key } }, ...more });
  const fault: Sent = { outcome: "retry", why: "it answered 500", afterMs: null };

  it("is over when the object is deleted, for channels that were notified, with its Secret or without", async () => {
    const life = operator();
    await life.pass(true);
    await life.pass(true);
    life.restart();
    await life.pass(true);
    life.remove();
    await life.pass(true);
    await life.pass(true);
    assert.deepEqual(life.sent, [begun, over]);
    assert.match(
      life.texts[1] ?? "",
      /^The provider a\/p was deleted, and with it the alert about it: a breaker is open since 2027-03-01T00:00:15\.000Z\.$/,
    );
  });

  it("of a deleted object is sent until the channel receives it, for a day", async () => {
    let well = true;
    const life = operator(() => (well ? { outcome: "done" } : fault));
    await life.pass(true);
    well = false;
    life.remove();
    await life.pass(null);
    await life.pass(null, 0, 600_000);
    well = true;
    await life.pass(null, 0, 600_000);
    await life.pass(null, 0, 600_000);
    assert.deepEqual(
      [life.sent, life.outcomes],
      [
        [begun, over],
        ["webhook-1 sent", "webhook-1 retried", "webhook-1 retried", "webhook-1 sent"],
      ],
    );
    life.make(spec);
    await life.pass(true);
    well = false;
    life.remove();
    for (let hour = 0; hour < 30; hour++) await life.pass(null, 0, 3_600_000);
    assert.deepEqual([life.sent.length, life.outcomes.at(-1), life.outcomes.length], [3, "webhook-1 given_up", 30]);
  });

  it("of a deleted object is not sent to channels that were never notified", async () => {
    const deaf = operator(() => fault);
    await deaf.pass(true);
    deaf.remove();
    await deaf.pass(true, 0, 600_000);
    const refused = operator(() => ({ outcome: "never", why: "it answered 404" }));
    await refused.pass(true);
    refused.remove();
    await refused.pass(true);
    assert.deepEqual([deaf.sent, deaf.outcomes, refused.outcomes], [[], ["webhook-1 retried"], ["webhook-1 given_up"]]);
    const later = operator();
    await later.pass(true);
    later.remove();
    later.restart();
    await later.pass(true);
    assert.deepEqual(later.sent, [begun], "with the object's status the memory of it is gone");
  });

  it("of a deleted object is sent after another process led meanwhile, unless it is active again by then", async () => {
    let well = true;
    const life = operator(() => (well ? { outcome: "done" } : fault));
    const deleted = async (): Promise<void> => {
      well = true;
      await life.pass(true);
      well = false;
      life.remove();
      await life.pass(true);
      life.forget();
      well = true;
    };
    await deleted();
    await life.look(600_000);
    assert.deepEqual(life.sent, [begun], "nobody knows yet what another has told");
    await life.pass(true, 0, 600_000);
    assert.deepEqual(life.sent.splice(0), [begun, over]);
    life.make(spec);
    await deleted();
    life.make(spec);
    await life.pass(true, 0, 600_000);
    assert.deepEqual(life.sent, [begun, begun]);
  });

  it("that is on its way while the object is deleted is over as soon as it has arrived", async () => {
    const arrived = Promise.withResolvers<Sent>();
    const life = operator((_channel, _nowMs, state) => (state === "Active" ? arrived.promise : { outcome: "done" }));
    await life.pass(true, 0, 15_000, {}, false);
    life.remove();
    await life.pass(true, 0, 1_000, {}, false);
    arrived.resolve({ outcome: "done" });
    await life.idle();
    await life.pass(true);
    await life.pass(true);
    assert.deepEqual(life.sent, [begun, over]);
  });

  it("whose end is on its way while the object is deleted is over once", async () => {
    const arrived = Promise.withResolvers<Sent>();
    const life = operator((_channel, _nowMs, state) => (state === "Over" ? arrived.promise : { outcome: "done" }));
    await life.pass(true);
    await life.pass(false);
    await life.pass(false, 0, quietMs, {}, false);
    life.remove();
    await life.pass(false, 0, 1_000, {}, false);
    arrived.resolve({ outcome: "done" });
    await life.idle();
    await life.pass(false);
    assert.deepEqual(life.sent, [begun, over]);
    assert.match(life.texts[1] ?? "", /^Over for the provider a\/p: breakers are closed again/);
  });

  it("continues for an object recreated under the same name, and is over once that object is healthy", async () => {
    let well = true;
    const life = operator(() => (well ? { outcome: "done" } : fault));
    await life.pass(true);
    life.make(spec);
    await life.pass(true);
    assert.deepEqual(life.sent, [begun, begun], "an end that comes after the next beginning would close its incident");
    well = false;
    life.make(spec);
    await life.pass(false);
    well = true;
    await life.pass(true, 0, 600_000);
    await life.pass(true, 0, 600_000);
    assert.deepEqual(life.sent.slice(2), [begun], "what could not be told is no news any more");
    life.make(spec);
    await life.pass(false);
    await life.pass(false);
    assert.deepEqual(life.sent.slice(3), [over]);
  });

  it("is over when alertWhen goes with all its channels", async () => {
    const life = operator();
    await life.pass(true);
    life.change({});
    await life.pass(true);
    await life.pass(true);
    assert.deepEqual(
      [life.sent, life.events],
      [
        [begun, over],
        ["Warning BreakerOpened", "Normal NoLongerWatched"],
      ],
    );
    assert.match(
      life.texts[1] ?? "",
      /^No longer watched for the provider a\/p: a breaker is open since .* Nothing checks any more whether it still holds\.$/,
    );
    assert.equal(life.status()["alerts"], undefined);
  });

  it("is over for a channel that goes, and for the others when it is", async () => {
    const life = operator();
    life.change({ ...spec, alerts: [hook("url"), hook("key")] });
    await life.pass(true);
    assert.deepEqual(life.sent.splice(0), [begun, "webhook-2 BreakerOpen Active"]);
    life.change({ ...spec, alerts: [hook("key")] });
    await life.pass(true);
    await life.pass(true);
    assert.deepEqual(life.sent.splice(0), [over]);
    assert.match(
      life.texts[2] ?? "",
      /^This channel no longer gets alerts about the provider a\/p: a breaker is open since .* spec\.alerts no longer names it\.$/,
    );
    assert.deepEqual(
      objectAlerts.parse(life.status()["alerts"])[0]?.told,
      ["webhook-1"],
      "which was the second before",
    );
    await life.pass(false);
    await life.pass(false, 0, quietMs);
    await life.pass(false);
    assert.deepEqual(life.sent.splice(0), [over]);
    life.change({ ...spec, alerts: undefined });
    await life.pass(true);
    await life.pass(true);
    assert.deepEqual([life.sent, life.events.length], [[], 3]);
  });

  it("is sent once although channels change their order, and to later channels only while it lasts", async () => {
    const life = operator();
    life.change({ ...spec, alerts: [hook("url"), hook("key")] });
    await life.pass(true);
    life.change({ ...spec, alerts: [hook("key"), hook("url")] });
    await life.pass(true);
    assert.equal(life.sent.splice(0).length, 2);
    life.change({ ...spec, alerts: [hook("none"), hook("key"), hook("url"), hook("key", { message: "{{event}}" })] });
    await life.pass(true);
    assert.deepEqual(life.sent.splice(0), ["webhook-4 BreakerOpen Active"]);
    await life.pass(false);
    await life.pass(false, 0, quietMs);
    assert.deepEqual(
      life.sent.splice(0),
      ["webhook-2", "webhook-3", "webhook-4"].map((id) => `${id} BreakerOpen Over`),
    );
    life.change({ ...spec, alerts: [hook("key"), hook("url"), hook("key"), hook("url"), hook("key")] });
    await life.pass(false);
    await life.pass(false, 0, 2 * 86_400_000);
    life.restart();
    life.change({ ...spec, alerts: ["a", "b", "c", "d", "e", "f"].map(() => hook("url")) });
    await life.pass(false);
    assert.deepEqual(life.sent, []);
  });

  it("ends also for channels that no longer ask for such events, and where the Secret was away meanwhile", async () => {
    const life = operator();
    await life.pass(true);
    life.change({ ...spec, alerts: [{ ...alerts[0], events: ["ErrorRate"] }] });
    await life.pass(false);
    await life.pass(false, 0, quietMs);
    assert.deepEqual(life.sent.splice(0), [begun, over]);
    life.change(spec);
    await life.pass(true);
    life.change({ ...spec, alerts: [hook("none")] });
    await life.pass(true);
    assert.deepEqual(life.sent.splice(0), [begun, over]);
  });

  it("ignores what can't be in a status", async () => {
    const life = operator();
    await life.pass(true);
    const [entry] = objectAlerts.parse(life.status()["alerts"]);
    life.status()["alerts"] = [{ ...entry, since: "yesterday" }];
    life.restart();
    await life.pass(true);
    assert.deepEqual(life.sent, [begun, begun]);
  });

  it("leaves no more names of channels in the status than there are channels", async () => {
    const life = operator();
    const all = (type: string): Spec[] =>
      Array.from({ length: 8 }, () => ({ [type]: { secretRef: { name: "alerts", key: "url" } } }));
    for (const type of ["webhook", "slack", "pagerDuty"]) {
      life.change({ ...spec, alerts: all(type) });
      life.restart();
      await life.pass(true);
      await life.pass(true);
    }
    assert.equal(objectAlerts.parse(life.status()["alerts"])[0]?.told.length, 8);
  });

  it("can be tried, each channel once", async () => {
    const life = operator();
    const asked = { "sluice.dev/test-alerts": "now" };
    await life.pass(false, 0, 1_000, asked);
    await life.pass(false, 0, 1_000, asked);
    life.restart();
    await life.pass(false, 0, 1_000, asked);
    assert.deepEqual(life.sent, ["webhook-1 Test Active", "pagerDuty-1 Test Active"]);
    const results = ["webhook-1", "pagerDuty-1"].map((channel) => ({ channel, result: "sent" }));
    assert.deepEqual(life.status()["alertTest"], { requestedAt: "now", results });
  });

  it("opens an incident at PagerDuty and ends the same one", async () => {
    const watch = watchOf(provider(spec));
    const book = new ObjectAlertBook();
    const since = "2027-03-01T00:00:00.000Z";
    const entry = {
      event: "ErrorRate",
      state: "Over",
      since,
      over: "2027-03-01T00:10:00.000Z",
      value: "6%",
      bound: "5%",
      detail: "6% of 100",
      told: [],
      toldOver: [],
    };
    const one = provider(spec, { alerts: [entry] });
    book.learn([one]);
    const all = compiled([one]);
    book.report(all, [], [], start);
    const bodies = () =>
      book
        .due(all)
        .map(({ alert }) => pagerDutyBody(alert, watch.channels[1] as never, "routing") as Record<string, unknown>);
    const begun = bodies();
    for (const due of book.due(all)) for (const { id } of due.channels) due.settled(id, "sent");
    const ended = book.due(all).map(({ alert }) => alert);
    assert.equal(begun.length, 1);
    assert.deepEqual([begun[0]?.["event_action"], begun[0]?.["dedup_key"]], ["trigger", "LLMProvider/a/p|ErrorRate"]);
    assert.deepEqual(bodies(), [
      { routing_key: "routing", dedup_key: "LLMProvider/a/p|ErrorRate", event_action: "resolve" },
    ]);
    assert.deepEqual(
      ended.map(({ text, severity }) => [text, severity]),
      [[`Over for the provider a/p: the error rate is normal again. It began at ${since}. 6% of 100.`, "info"]],
    );
    assert.equal(
      mailOf(ended[0] as never, watch.channels[0] as never).subject,
      "Sluice: the error rate is normal again (a/p)",
    );
  });
});
