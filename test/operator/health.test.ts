import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseProxyStatus } from "../../operator/cluster/proxy-status.ts";
import { transitions } from "../../operator/cluster/report.ts";
import { healthCondition, type ProxyReport, usageCondition } from "../../operator/compile/health.ts";

const report = (
  healthy: boolean | null,
  reason: string | null = null,
  open: string[] = [],
  causes: Record<string, string> = {},
  refused: string[] = [],
): ProxyReport => new Map([["a/p", { healthy, reason, open, causes: new Map(Object.entries(causes)), refused }]]);
const silent: ProxyReport = new Map();

describe("Healthy", () => {
  const rows: { name: string; proxies: ProxyReport[]; status: string; reason: string; message: string }[] = [
    {
      name: "no proxy answers",
      proxies: [],
      status: "Unknown",
      reason: "NotYetKnown",
      message: "no proxy has called it yet",
    },
    {
      name: "none knows",
      proxies: [report(null), silent],
      status: "Unknown",
      reason: "NotYetKnown",
      message: "no proxy has called it yet",
    },
    {
      name: "all reach it",
      proxies: [report(true), report(true)],
      status: "True",
      reason: "Reachable",
      message: "2/2 proxies reach it",
    },
    {
      name: "those that know reach it",
      proxies: [report(true), silent],
      status: "True",
      reason: "Reachable",
      message: "1/2 proxies reach it; 1 not yet known",
    },
    {
      name: "one does not",
      proxies: [report(true), report(true, null, ["gpt-4o"]), report(false, "status 503 instead of 200")],
      status: "False",
      reason: "PartlyReachable",
      message: "2/3 proxies reach it; status 503 instead of 200 on 1; breaker open for gpt-4o on 1",
    },
    {
      name: "a breaker is open on one",
      proxies: [report(true), report(true, null, ["gpt-4o"])],
      status: "False",
      reason: "BreakerOpen",
      message: "2/2 proxies reach it; breaker open for gpt-4o on 1",
    },
    {
      name: "a breaker is open on two, for different causes",
      proxies: [
        report(true, null, ["gpt-4o"], { "gpt-4o": "tls_expired" }),
        report(true, null, ["gpt-4o"], { other: "dns_failed" }),
      ],
      status: "False",
      reason: "BreakerOpen",
      message: "2/2 proxies reach it; breaker open for gpt-4o on 1, gpt-4o (tls_expired) on 1",
    },
    {
      name: "a credential is refused",
      proxies: [report(true), report(true, null, ["o1"], {}, ["gpt-4o"])],
      status: "False",
      reason: "CredentialRefused",
      message: "2/2 proxies reach it; credential refused for gpt-4o on 1; breaker open for o1 on 1",
    },
    {
      name: "no proxy reaches it",
      proxies: [report(false, "no connection")],
      status: "False",
      reason: "Unreachable",
      message: "0/1 proxies reach it; no connection on 1",
    },
  ];
  for (const { name, proxies, ...expected } of rows) {
    it(`when ${name}`, () => assert.deepEqual(healthCondition("a/p", proxies), { type: "Healthy", ...expected }));
  }

  it("reads what proxies of other versions say", () => {
    assert.equal(parseProxyStatus("<html>"), null);
    assert.deepEqual(
      parseProxyStatus({
        ready: true,
        revision: "abc",
        providers: [
          { id: "a/p", breakers: { m: "half-open", n: "closed" }, causes: { m: "tls_expired" }, refused: ["n"] },
        ],
        more: 1,
      }),
      {
        ready: true,
        revision: "abc",
        providers: new Map([
          [
            "a/p",
            { healthy: null, reason: null, open: ["m"], causes: new Map([["m", "tls_expired"]]), refused: ["n"] },
          ],
        ]),
        revocations: null,
        canaries: [],
        watched: [],
        foreignKeys: [],
      },
    );
    const older = { ready: true, revision: null, providers: [{ id: "a/p", breakers: { m: "open" } }] };
    assert.deepEqual(parseProxyStatus(older)?.providers.get("a/p")?.causes, new Map());
    assert.deepEqual(parseProxyStatus({ ready: true, revision: null, providers: "none" })?.providers, new Map());
  });
});

describe("news of a provider's health", () => {
  const healthy = (status: "True" | "False" | "Unknown", reason: string) => ({
    type: "Healthy",
    status,
    reason,
    message: "",
    lastTransitionTime: "",
    observedGeneration: 1,
  });
  const [well, ill, refused, unknown] = [
    healthy("True", "Reachable"),
    healthy("False", "Unreachable"),
    healthy("False", "CredentialRefused"),
    healthy("Unknown", "NotYetKnown"),
  ] as const;
  const alerts = ["BreakerOpen", "Unreachable"];
  const rows: [what: string, from: typeof well, to: typeof well, told: string[], news: boolean][] = [
    ["it is lost", well, ill, [], true],
    ["it is lost, which an alert tells", well, ill, alerts, false],
    ["it is back", ill, well, [], true],
    ["it is back, which an alert tells", ill, well, alerts, false],
    ["no proxy can be asked", ill, unknown, [], false],
    ["it is back, and no proxy could be asked meanwhile", unknown, well, [], true],
    ["the same where alerts tell of it", unknown, well, alerts, false],
    ["its credential is refused, of which no alert tells", well, refused, alerts, true],
    ["its credential is taken again", refused, well, alerts, true],
  ];
  for (const [what, from, to, told, news] of rows)
    it(`${what}: ${news ? "an Event" : "none"}`, () =>
      assert.equal(transitions([from], [to], told).length, news ? 1 : 0));
});

describe("UsagePlausible", () => {
  it("is there, and news, only while a provider reports usage that can't be", () => {
    const status = (implausible: string[]) =>
      parseProxyStatus({ ready: true, revision: "r", providers: [{ id: "a/p", implausible }] })?.providers ?? silent;
    assert.equal(usageCondition("a/p", [status([]), silent]), null);
    const condition = usageCondition("a/p", [status(["gpt-4o"]), status(["gpt-4o", "o1"]), silent]);
    assert.equal(condition?.reason, "ImplausibleUsage");
    assert.match(condition.message, /gpt-4o on 2, o1 on 1/);
    const full = { ...condition, lastTransitionTime: "", observedGeneration: 1 };
    assert.deepEqual(
      transitions([], [full]).map(({ warning }) => warning),
      [true],
    );
  });
});
