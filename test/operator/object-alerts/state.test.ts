/** Alerts of providers and policies: when they begin and end, and who is notified, across restarts. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { newsOf } from "../../../operator/cluster/report.ts";
import { secretRefs } from "../../../operator/cluster/world.ts";
import { healthPatches } from "../../../operator/compile/health.ts";
import { statusOf } from "../../../operator/compile/status.ts";
import { withPatches } from "../../../operator/compile/verdict.ts";
import type { WorldObject } from "../../../operator/compile/world.ts";
import { ObjectAlertBook } from "../../../operator/loops/alerts/book.ts";
import { quietMs, sightings } from "../../../operator/loops/alerts/state.ts";
import type { WatchReading } from "../../../proxy/config/watch.ts";
import { compiled, policy, provider, reading, report, type Spec, watchOf } from "./kit.ts";

describe("the state of an event", () => {
  const check = { healthCheck: { path: "/models" } };
  const rows: [
    name: string,
    object: WorldObject,
    proxies: ReturnType<typeof report>[],
    counts: Partial<WatchReading["counts"]>[],
    event: string,
    on: boolean | null,
    detail: RegExp,
  ][] = [
    ["no proxy knows it", provider({ alertWhen: {} }), [], [], "BreakerOpen", null, /^$/],
    [
      "a breaker is open on one proxy",
      provider({ alertWhen: {} }),
      [report(true), report(true, ["m"])],
      [],
      "BreakerOpen",
      true,
      /^open for m on 1$/,
    ],
    [
      "a breaker opened between two looks",
      provider({ alertWhen: {} }),
      [report(true)],
      [{ opened: 2 }],
      "BreakerOpen",
      true,
      /^opened 2 times in the last 5 min$/,
    ],
    [
      "breakers are closed",
      provider({ alertWhen: {} }),
      [report(true)],
      [{}],
      "BreakerOpen",
      false,
      /^breakers are closed on all proxies$/,
    ],
    [
      "its check fails",
      provider({ alertWhen: {}, ...check }),
      [report(true), report(false, [], "status 503")],
      [],
      "Unhealthy",
      true,
      /^1 of 2 .*: status 503 on 1$/,
    ],
    ["its check has not told yet", provider({ alertWhen: {}, ...check }), [report(null)], [], "Unhealthy", null, /^$/],
    [
      "its check succeeds",
      provider({ alertWhen: {}, ...check }),
      [report(true)],
      [],
      "Unhealthy",
      false,
      /^1 of 1 proxies reach it$/,
    ],
    [
      "errors of all proxies together are too many",
      provider({ alertWhen: { errorRate: ">5%" } }),
      [],
      [
        { calls: 15, errors: 0 },
        { calls: 15, errors: 2 },
      ],
      "ErrorRate",
      true,
      /^6\.67% of 30 attempts failed in the last 5 min$/,
    ],
    [
      "errors are just at the bound",
      policy({ alertWhen: { errorRate: ">5%" } }),
      [],
      [{ calls: 100, errors: 5 }],
      "ErrorRate",
      false,
      /^5% of 100 calls failed/,
    ],
    [
      "there are too few calls",
      policy({ alertWhen: { errorRate: ">5%" } }),
      [],
      [{ calls: 19, errors: 19 }],
      "ErrorRate",
      false,
      /at least 20 are needed to judge/,
    ],
    ["no proxy counts yet", policy({ alertWhen: { errorRate: ">5%" } }), [], [], "ErrorRate", null, /^$/],
    [
      "any call that went on counts",
      policy({ alertWhen: { failover: ">0%", window: "1h" } }),
      [],
      [{ calls: 400, moved: 1 }],
      "Failover",
      true,
      /^0\.25% of 400 .*in the last 60 min$/,
    ],
    [
      "more than one in twenty is slow",
      policy({ alertWhen: { latencyP95: ">1500ms" } }),
      [],
      [{ timed: 100, slow: 6 }],
      "Latency",
      true,
      /^6% of 100 answers took longer than 1\.5s/,
    ],
    [
      "one in twenty is slow",
      policy({ alertWhen: { latencyP95: ">2m" } }),
      [],
      [{ timed: 100, slow: 5 }],
      "Latency",
      false,
      /^5% of 100 answers took longer than 120s/,
    ],
    [
      "first tokens are late",
      provider({ alertWhen: { firstTokenP95: ">900ms" } }),
      [],
      [{ firstTokens: 20, late: 2 }],
      "FirstToken",
      true,
      /^10% of 20 streams began later than after 900ms/,
    ],
  ];
  for (const [name, one, proxies, counts, event, on, detail] of rows)
    it(name, () => {
      const watch = watchOf(one);
      const seen = sightings(
        watch,
        proxies,
        counts.map((each) => reading(watch, each)),
      ).get(event as never);
      assert.equal(seen === null ? null : seen?.on, on);
      assert.match(seen?.detail ?? "", detail);
    });

  it("is not judged from a proxy that counts by other bounds", () => {
    const watch = watchOf(policy({ alertWhen: { errorRate: ">5%" } }));
    const old = { ...reading(watch, { calls: 100, errors: 100 }), config: { ...watch.counting, windowMs: 60_000 } };
    assert.equal(sightings(watch, [], [old, { ...old, config: watch.counting, id: "a/other" }]).get("ErrorRate"), null);
  });
});

describe("what is watched", () => {
  const slack = { slack: { secretRef: { name: "alerts", key: "url" } } };
  const conditions = (one: WorldObject, hasMail = true) => {
    const verdict = compiled([one], hasMail).verdicts.find(({ kind }) => kind === one.kind);
    return { verdict, ready: verdict?.conditions.find(({ type }) => type === "AlertsReady") };
  };

  it("is counted by proxies, and only that", () => {
    const { config, alertWatches } = compiled([
      provider({ alertWhen: { latencyP95: ">30s", window: "10m" } }),
      policy({}),
    ]);
    assert.deepEqual(config.providers[0]?.watch, { windowMs: 600_000, latencyMs: 30_000, firstTokenMs: null });
    assert.equal(Object.hasOwn(config.routes[0] ?? {}, "watch"), false);
    assert.deepEqual(
      alertWatches.map(({ kind, events }) => [kind, events]),
      [["LLMProvider", ["BreakerOpen", "Latency"]]],
    );
  });

  for (const [name, alerts, hasMail, reason, message] of [
    [
      "a Secret is missing",
      [{ slack: { secretRef: { name: "none", key: "url" } } }],
      true,
      "SecretNotFound",
      /^0 of 1 channels can be used: Secret none/,
    ],
    [
      "a key is missing",
      [slack, { pagerDuty: { secretRef: { name: "alerts", key: "no" } } }],
      true,
      "SecretKeyNotFound",
      /^1 of 2 .*has no key no$/,
    ],
    ["there is no mail server", [{ email: { to: ["a@example.com"] } }], false, "Unsupported", /no mail server/],
    [
      "a message names what isn't there",
      [{ ...slack, message: "{{budget}}" }],
      true,
      "Invalid",
      /\{\{budget\}\} is unknown; known placeholders are \{\{object\}\}/,
    ],
    [
      "a channel waits for what is not watched",
      [{ ...slack, events: ["Latency"] }],
      true,
      "Invalid",
      /slack-1 waits for Latency, which alertWhen does not name/,
    ],
  ] as const)
    it(`and the provider serves all the same, though ${name}`, () => {
      const { verdict, ready } = conditions(provider({ alertWhen: {}, alerts }), hasMail);
      assert.deepEqual([ready?.status, ready?.reason], ["False", reason]);
      assert.match(ready?.message ?? "", message);
      assert.equal(verdict?.live, "current");
      const policies = compiled(
        [provider({}), policy({ alertWhen: { latencyP95: ">1s", errorRate: ">1%" }, alerts })],
        hasMail,
      );
      assert.equal(policies.verdicts.find(({ kind }) => kind === "RoutingPolicy")?.live, "current");
    });

  it("can be told when all channels are there", () => {
    const { ready } = conditions(policy({ alertWhen: { failover: ">0%" }, alerts: [slack] }));
    assert.deepEqual([ready?.status, ready?.message], ["True", "1 of 1 channels can be used"]);
    assert.equal(conditions(provider({ alertWhen: {} })).ready, undefined, "nobody is to be notified");
  });

  it("names the Secrets that the operator reads", () => {
    const alerts = [
      slack,
      { email: { to: ["a@example.com"] } },
      { webhook: { secretRef: { name: "hooks", key: "url" } } },
    ];
    assert.deepEqual(secretRefs(policy({ alerts })), ["a/alerts", "a/hooks"]);
    assert.deepEqual(secretRefs(provider({ credentials: { secretRef: { name: "up" } }, alerts })), [
      "a/up",
      "a/alerts",
      "a/hooks",
    ]);
  });
});

describe("the Events of one thing", () => {
  const check = { healthCheck: { path: "/models" } };
  const breaker = ["Warning BreakerOpened", "Normal BreakerClosed"];
  const open = report(true, ["m"]);
  /** Without a health check one open breaker of one model is all there is. */
  const shut = report(false, ["m"], "every model's breaker is open");
  const failing = report(false, [], "status 503");
  const well = report(true);
  const rows: [name: string, spec: Spec, passes: ReturnType<typeof report>[], events: string[]][] = [
    [
      "are of the breaker that keeps opening, where it is watched",
      { alertWhen: {} },
      [well, open, well, open, well],
      breaker,
    ],
    ["are of the only breaker, too", { alertWhen: {} }, [well, shut, open, shut, well], breaker],
    [
      "are of the breaker in addition to a health check",
      { ...check, alertWhen: {} },
      [well, open, well, open, well],
      breaker,
    ],
    [
      "are of the health check that is watched",
      { ...check, alertWhen: {} },
      [well, failing, well],
      ["Warning HealthCheckFailing", "Normal HealthCheckSucceeding"],
    ],
    ["are the condition's where nobody watches", {}, [well, open, well], ["Warning BreakerOpen", "Normal Reachable"]],
    [
      "are the condition's of what is not watched",
      { ...check, alertWhen: { unhealthy: false } },
      [well, failing, well],
      ["Warning Unreachable", "Normal Reachable"],
    ],
    [
      "are the condition's of breakers that are not",
      { ...check, alertWhen: { breakerOpen: false } },
      [well, open, well],
      ["Warning BreakerOpen", "Normal Reachable"],
    ],
    [
      "are of the condition that says which channels can't be used",
      { alertWhen: {}, alerts: [{ slack: { secretRef: { name: "none", key: "url" } } }] },
      [well],
      ["Warning SecretNotFound"],
    ],
    [
      "are not lost where one thing goes over into another",
      { ...check, alertWhen: { unhealthy: false } },
      [well, failing, open, well],
      ["Warning Unreachable", "Warning BreakerOpen", "Warning BreakerOpened", "Normal BreakerClosed"],
    ],
  ];
  for (const [name, spec, passes, expected] of rows)
    it(name, () => {
      const book = new ObjectAlertBook();
      const events: string[] = [];
      let status: unknown = {};
      let nowMs = 0;
      const pass = (proxy: ReturnType<typeof report>): void => {
        nowMs += 15_000;
        const one = provider(spec, status);
        book.learn([one]);
        const all = compiled([one]);
        const patches = [...healthPatches(all.others, [proxy]), ...book.report(all, [proxy], [], nowMs)];
        const [verdict] = withPatches(all.verdicts, patches);
        assert.ok(verdict);
        const now = statusOf(verdict, { revision: "r", live: 1, total: 1 }, status, nowMs);
        for (const { condition, warning } of newsOf(verdict, status, now))
          if (!["Programmed", "PriceUnknown"].includes(condition.type))
            events.push(`${warning ? "Warning" : "Normal"} ${condition.reason}`);
        status = now;
      };
      for (const proxy of passes) pass(proxy);
      for (let count = 0; count * 15_000 <= quietMs; count++) pass(well);
      assert.deepEqual(events, expected);
    });
});
