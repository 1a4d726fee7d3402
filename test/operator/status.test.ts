import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Condition, type Programmed, statusOf } from "../../operator/compile/status.ts";
import type { Problem, Verdict } from "../../operator/compile/verdict.ts";

const nowMs = Date.parse("2026-11-20T12:00:00.123Z");
const everywhere: Programmed = { revision: "7f3a91c2d004", live: 3, total: 3 };
const problem = (reason: Problem["reason"], severity: Problem["severity"] = "error"): Problem => ({
  reason,
  message: `it is ${reason}`,
  path: ["spec"],
  severity,
});

function verdict(part: Partial<Verdict> = {}): Verdict {
  const meta = { name: "n", namespace: "a", uid: "", generation: 4, createdAtMs: 1, labels: {} };
  return {
    kind: "ApiKey",
    meta,
    accepted: [],
    resolvedRefs: [],
    live: "current",
    entry: null,
    status: {},
    conditions: [],
    ...part,
  };
}

/** A verdict with one condition of its kind's own. */
const told = (type: string, status: "True" | "False", reason: string, message: string): Partial<Verdict> => ({
  conditions: [{ type, status, reason, message }],
});

const conditions = (status: Record<string, unknown>): Condition[] => status["conditions"] as Condition[];

describe("status is never kinder than the traffic", () => {
  const rows: { name: string; of: Partial<Verdict>; state: Programmed; programmed: [string, string] }[] = [
    { name: "live on every proxy", of: {}, state: everywhere, programmed: ["True", "Live"] },
    { name: "on its way", of: {}, state: { ...everywhere, live: 2 }, programmed: ["False", "Pending"] },
    {
      name: "no proxy is there",
      of: {},
      state: { ...everywhere, live: 0, total: 0 },
      programmed: ["False", "NoProxies"],
    },
    {
      name: "an earlier form serves",
      of: { live: "lastGood", accepted: [problem("Invalid")] },
      state: everywhere,
      programmed: ["False", "LastGood"],
    },
    {
      name: "only a part serves",
      of: { live: "partial", resolvedRefs: [problem("ProviderNotFound")] },
      state: everywhere,
      programmed: ["False", "Partial"],
    },
    {
      name: "nothing serves",
      of: { live: "none", accepted: [problem("Conflicted")] },
      state: everywhere,
      programmed: ["False", "NotServed"],
    },
  ];
  for (const { name, of, state, programmed } of rows) {
    it(`when ${name}`, () => {
      const found = conditions(statusOf(verdict(of), state, {}, nowMs)).find((one) => one.type === "Programmed");
      assert.deepEqual([found?.status, found?.reason], programmed);
    });
  }

  // What GitOps tools read: at most one of Reconciling and Stalled is there, and only while it is True.
  const summaries: { name: string; of: Partial<Verdict>; state?: Partial<Programmed>; summary: string[] }[] = [
    { name: "live on every proxy", of: {}, summary: ["Ready=True Live"] },
    { name: "on its way", of: {}, state: { live: 2 }, summary: ["Ready=False Pending", "Reconciling=True Pending"] },
    {
      name: "no proxy is there",
      of: {},
      state: { live: 0, total: 0 },
      summary: ["Ready=False NoProxies", "Reconciling=True NoProxies"],
    },
    {
      name: "it is not published yet",
      of: { unpublished: true },
      summary: ["Ready=False NotPublished", "Reconciling=True NotPublished"],
    },
    {
      name: "an earlier form serves",
      of: { live: "lastGood", accepted: [problem("Invalid")] },
      summary: ["Ready=False LastGood", "Stalled=True Invalid"],
    },
    {
      name: "a part is on its way",
      of: { live: "partial", resolvedRefs: [problem("ProviderNotFound")] },
      state: { live: 0 },
      summary: ["Ready=False Pending", "Stalled=True ProviderNotFound"],
    },
    {
      name: "only a part serves",
      of: { live: "partial", resolvedRefs: [problem("ProviderNotFound")] },
      summary: ["Ready=False Partial", "Stalled=True ProviderNotFound"],
    },
    {
      name: "nothing serves",
      of: { live: "none", accepted: [problem("Conflicted")] },
      summary: ["Ready=False NotServed", "Stalled=True Conflicted"],
    },
    {
      name: "a budget is used up",
      of: told("Exceeded", "True", "AmountReached", "the amount is reached"),
      summary: ["Ready=True Live"],
    },
    {
      name: "there are warnings",
      of: { accepted: [problem("UnreachableRule", "warning")], resolvedRefs: [problem("ModelNotFound", "warning")] },
      summary: ["Ready=True Live", "Warning=True UnreachableRule"],
    },
  ];
  for (const { name, of, state, summary } of summaries)
    it(`sums up for GitOps tools when ${name}`, () => {
      const found = conditions(statusOf(verdict(of), { ...everywhere, ...state }, {}, nowMs));
      const types = ["Ready", "Reconciling", "Stalled", "Warning"];
      assert.deepEqual(
        found.filter((one) => types.includes(one.type)).map((one) => `${one.type}=${one.status} ${one.reason}`),
        summary,
      );
    });

  it("names the cause in Ready, and every warning in Warning", () => {
    const broken = conditions(
      statusOf(verdict({ live: "none", resolvedRefs: [problem("SecretNotFound")] }), everywhere, {}, nowMs),
    );
    assert.equal(broken.find((one) => one.type === "Ready")?.message, "it is SecretNotFound");
    const warned = conditions(
      statusOf(
        verdict({ accepted: [problem("UnreachableRule", "warning"), problem("PriceUnknown", "warning")] }),
        everywhere,
        {},
        nowMs,
      ),
    );
    assert.equal(warned.find((one) => one.type === "Warning")?.message, "it is UnreachableRule; it is PriceUnknown");
  });

  const tellings: { name: string; of: Partial<Verdict>; why: string | undefined }[] = [
    { name: "nothing is wrong", of: {}, why: undefined },
    {
      name: "it is not valid",
      of: { live: "none", accepted: [problem("Invalid")], resolvedRefs: [problem("SecretNotFound")] },
      why: "it is Invalid",
    },
    {
      name: "a reference leads nowhere",
      of: { live: "none", resolvedRefs: [problem("SecretNotFound")] },
      why: "it is SecretNotFound",
    },
    {
      name: "a budget is within its amount",
      of: told("Exceeded", "False", "WithinAmount", "spending is within the amount"),
      why: undefined,
    },
    {
      name: "a budget is used up",
      of: told("Exceeded", "True", "AmountReached", "the amount is reached"),
      why: "the amount is reached",
    },
    {
      name: "a key has not expired",
      of: told("Expired", "False", "NotExpired", "it expires in March"),
      why: undefined,
    },
    {
      name: "a price is not known",
      of: told("PriceUnknown", "True", "PriceUnknown", "no price is known for m"),
      why: "no price is known for m",
    },
    {
      name: "a canary is promoted",
      of: told("CanaryProgressing", "False", "Promoted", "it has all of the traffic"),
      why: undefined,
    },
    {
      name: "the words are long",
      of: { live: "none", accepted: [{ ...problem("Invalid"), message: "m".repeat(5_000) }] },
      why: `${"m".repeat(1023)}…`,
    },
  ];
  for (const { name, of, why } of tellings)
    it(`says what is wrong, and nothing else, when ${name}`, () =>
      assert.equal(statusOf(verdict(of), everywhere, {}, nowMs)["why"], why));

  it("counts the proxies and names the revision", () => {
    const found = conditions(statusOf(verdict(), { ...everywhere, live: 1 }, {}, nowMs)).find(
      (one) => one.type === "Programmed",
    );
    assert.equal(found?.message, "1/3 proxies at 7f3a91c2d004");
  });

  it("takes a warning for no failure", () => {
    const found = conditions(
      statusOf(verdict({ accepted: [problem("UnreachableRule", "warning")] }), everywhere, {}, nowMs),
    )[0];
    assert.deepEqual([found?.type, found?.status], ["Accepted", "True"]);
  });

  it("keeps a message within what the API server takes", () => {
    const long: Problem = { ...problem("ModelNotFound"), message: "m".repeat(20_000) };
    const different = Array.from({ length: 9 }, (_, at) => ({ ...long, message: `${at}${long.message}` }));
    const found = conditions(statusOf(verdict({ resolvedRefs: different }), everywhere, {}, nowMs))[1];
    assert.ok(found && found.message.length < 32_768 && found.message.endsWith("and 4 more"));
  });

  it("does not claim that references exist if they could not be resolved", () => {
    const found = conditions(
      statusOf(verdict({ accepted: [problem("Invalid")], refsUnknown: true, live: "none" }), everywhere, {}, nowMs),
    )[1];
    assert.deepEqual([found?.type, found?.status], ["ResolvedRefs", "Unknown"]);
  });

  it("says the same thing once", () => {
    const found = conditions(
      statusOf(
        verdict({ resolvedRefs: [problem("ProviderNotReady"), problem("ProviderNotReady")] }),
        everywhere,
        {},
        nowMs,
      ),
    )[1];
    assert.equal(found?.message, "it is ProviderNotReady");
  });

  it("says which generation it speaks of, on every condition", () => {
    const status = statusOf(verdict(), everywhere, {}, nowMs);
    assert.equal(status["observedGeneration"], 4);
    for (const one of conditions(status)) assert.equal(one.observedGeneration, 4);
  });

  it("keeps the time of a transition while the status stays, and sets it when it turns", () => {
    const first = statusOf(verdict(), everywhere, {}, nowMs);
    const later = nowMs + 60_000;
    assert.deepEqual(statusOf(verdict(), everywhere, first, later), first);
    const turned = statusOf(verdict({ accepted: [problem("Invalid")] }), everywhere, first, later);
    assert.equal(conditions(turned)[0]?.lastTransitionTime, "2026-11-20T12:01:00Z");
    assert.equal(conditions(turned)[1]?.lastTransitionTime, "2026-11-20T12:00:00Z");
  });
});
