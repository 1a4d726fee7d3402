import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connectCluster, loadConfig } from "../../operator/cluster/api.ts";
import { type Election, elect, mayHoldLease } from "../../operator/cluster/lease.ts";
import { type ApiServer, startApiServer } from "../harness/apiserver.ts";
import { skipWithout } from "../harness/tools.ts";
import { until } from "../harness/until.ts";

/** A busy machine may need a second for a call. */
const times = { durationMs: 6_000, renewDeadlineMs: 3_000, retryMs: 200 };

describe("who may hold the lease", () => {
  const cases: [what: string, seen: Parameters<typeof mayHoldLease>[1], nowMs: number, may: boolean][] = [
    ["anyone, while there is none", null, 0, true],
    ["anyone, after it was given back", { holder: "", version: "1", sinceMs: 0 }, 1, true],
    ["its holder", { holder: "me", version: "1", sinceMs: 0 }, 1, true],
    [
      "nobody else, as long as it is renewed",
      { holder: "other", version: "1", sinceMs: 0 },
      times.durationMs - 1,
      false,
    ],
    [
      "another, once it stood still for its duration",
      { holder: "other", version: "1", sinceMs: 0 },
      times.durationMs,
      true,
    ],
  ];
  for (const [what, seen, nowMs, may] of cases)
    it(what, () => assert.equal(mayHoldLease("me", seen, nowMs, times), may));
});

const skip = await skipWithout("etcd", "kube-apiserver");

describe("an election on a real API server", { skip }, () => {
  let server: ApiServer;
  const elections: Election[] = [];
  before(async () => {
    server = await startApiServer();
  });
  after(async () => {
    for (const election of elections) await election.stop();
    await server?.stop();
  });

  /** A participant whose calls, once it is cut off, hang. */
  function participant(
    name: string,
    heard: boolean[],
    { lease = "one", skewMs = 0, continued = [] as boolean[] } = {},
  ) {
    const cluster = connectCluster(loadConfig(server.adminKubeconfigPath));
    let cut = false;
    let refused = false;
    const calls: string[] = [];
    const real = cluster.coordination;
    const coordination = new Proxy(real, {
      get: (target, property) => {
        const method = Reflect.get(target, property);
        return typeof method === "function"
          ? (...args: unknown[]) => {
              calls.push(String(property));
              if (refused) return Promise.reject(new Error("the API server is away"));
              return cut ? new Promise(() => undefined) : Reflect.apply(method, target, args);
            }
          : method;
      },
    });
    const election = elect({ ...cluster, coordination } as Cluster, {
      namespace: "default",
      name: lease,
      identity: name,
      times,
      nowMs: () => performance.timeOrigin + performance.now() + skewMs,
      changed: (leading, again) => {
        heard.push(leading);
        if (leading) continued.push(again);
      },
    });
    elections.push(election);
    return { election, calls, cutOff: () => (cut = true), refuse: (now: boolean) => (refused = now) };
  }

  it("has one leader at a time, even when the first one is cut off and its calls hang", async () => {
    const heard: boolean[] = [];
    const first = participant("first", heard);
    await until("the first leads", () => assert.equal(first.election.leading(), true));
    const second = participant("second", []);
    let both = 0;
    const watching = setInterval(() => (both += first.election.leading() && second.election.leading() ? 1 : 0), 5);
    first.cutOff();
    const cutMs = performance.now();
    await until("the first knows that it leads no more", () => assert.deepEqual(heard, [true, false]));
    assert.ok(performance.now() - cutMs < times.durationMs, "before another may lead");
    await until("the second leads", () => assert.equal(second.election.leading(), true));
    clearInterval(watching);
    assert.equal(both, 0);
  });

  it("gives the lease back on a clean stop, so that the next one need not wait", async () => {
    const third = participant("third", []);
    const last = elections.at(-2);
    await last?.stop();
    const sinceMs = performance.now();
    await until("the third leads", () => assert.equal(third.election.leading(), true));
    assert.ok(performance.now() - sinceMs < times.durationMs, "sooner than the lease would run out");
  });

  for (const [what, skewMs] of [
    ["an hour ahead", 3_600_000],
    ["an hour behind", -3_600_000],
  ] as const)
    it(`needs no equal clocks: the second one's is ${what}`, async () => {
      const lease = `skewed-${what.replaceAll(" ", "-")}`;
      const first = participant("first", [], { lease });
      await until("the first leads", () => assert.equal(first.election.leading(), true));
      const renewals = new Set<string>();
      const heard: boolean[] = [];
      const second = participant("second", heard, { lease, skewMs });
      const { coordination } = connectCluster(loadConfig(server.adminKubeconfigPath));
      // The second sees each of them, and would have taken the lease if it compared their times with its own.
      await until("several renewals", async () => {
        const { metadata } = await coordination.readNamespacedLease({ namespace: "default", name: lease });
        renewals.add(metadata?.resourceVersion ?? "");
        assert.ok(renewals.size > 5);
      });
      assert.deepEqual([first.election.leading(), heard], [true, []]);
      await first.election.stop();
      await until("the second leads", () => assert.equal(second.election.leading(), true));
    });

  it("is renewed by one request, also after somebody else has changed the Lease", async () => {
    const heard: boolean[] = [];
    const { calls, election } = participant("alone", heard, { lease: "renewed" });
    const renewals = (): number => calls.filter((call) => call === "replaceNamespacedLease").length;
    await until("several renewals", () => assert.ok(renewals() > 4));
    const reads = (): number => calls.filter((call) => call === "readNamespacedLease").length;
    assert.equal(reads(), 1);
    const { coordination } = connectCluster(loadConfig(server.adminKubeconfigPath));
    for (let edit = 0; edit < 3; edit++) {
      await until("edited", async () => {
        const lease = await coordination.readNamespacedLease({ namespace: "default", name: "renewed" });
        lease.metadata = { ...lease.metadata, annotations: { edit: String(edit) } };
        await coordination.replaceNamespacedLease({ namespace: "default", name: "renewed", body: lease });
      });
      const before = renewals();
      await until("renewed again", () => assert.ok(renewals() > before + 2));
    }
    assert.ok(reads() > 1);
    assert.deepEqual([heard, election.leading()], [[true], true]);
    await coordination.deleteNamespacedLease({ namespace: "default", name: "renewed" });
    await until("made again", async () => {
      const { spec } = await coordination.readNamespacedLease({ namespace: "default", name: "renewed" });
      assert.equal(spec?.holderIdentity, "alone");
    });
  });

  it("tells a leader that comes back whether anybody else has led meanwhile", async () => {
    const [heard, continued]: boolean[][] = [[], []];
    const one = participant("one", heard ?? [], { lease: "back", continued: continued ?? [] });
    await until("it leads", () => assert.equal(one.election.leading(), true));
    one.refuse(true);
    await until("it leads no more", () => assert.deepEqual(heard, [true, false]));
    one.refuse(false);
    await until("it leads again", () => assert.deepEqual(continued, [false, true]));
    one.refuse(true);
    await until("it has lost the lease again", () => assert.deepEqual(heard, [true, false, true, false]));
    const other = participant("other", [], { lease: "back" });
    await until("the other leads", () => assert.equal(other.election.leading(), true));
    await other.election.stop();
    one.refuse(false);
    await until("it leads after the other", () => assert.deepEqual(continued, [false, true, false]));
  });

  it("goes on at once with a process of the same identity, as a container that is started again", async () => {
    const heard: boolean[] = [];
    const first = participant("pod", heard, { lease: "again" });
    await until("the first leads", () => assert.equal(first.election.leading(), true));
    first.cutOff();
    const sinceMs = performance.now();
    const second = participant("pod", [], { lease: "again" });
    await until("the second leads", () => assert.equal(second.election.leading(), true));
    assert.ok(performance.now() - sinceMs < times.durationMs, "sooner than the lease would run out");
    // A process that is cut off can't be stopped while it believes that it leads.
    await until("the first knows that it leads no more", () => assert.deepEqual(heard, [true, false]));
  });
});
