/** A leader that is frozen still holds its Lease; keys are revoked all the same, by the operator that stands by. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { CoordinationV1Api } from "@kubernetes/client-node";
import {
  type Cluster,
  type OperatorProcess,
  skipWithoutCluster,
  startCluster,
  systemNamespace,
  untilCondition,
} from "../harness/cluster.ts";
import { secretOf } from "../harness/cluster-objects.ts";
import { until } from "../harness/until.ts";

const skip = await skipWithoutCluster();

/** Long enough that no other operator takes over while the test runs. */
const lease = ["durationMs=3600000", "renewDeadlineMs=1800000", "retryMs=500"].map((one) => `operator.lease.${one}`);

describe("revocations while the leader is frozen", { skip }, () => {
  let cluster: Cluster;
  let leader: OperatorProcess;
  const names = ["revoked", "deleted", "restored", "kept"];
  const clearOf = (name: string): string => `slc_standby_test_key_of_${name}`;

  const statusesOf = (name: string): Promise<number[]> =>
    Promise.all(
      cluster.proxies.map(async ({ url }) => {
        const answer = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${clearOf(name)}` } });
        await answer.arrayBuffer();
        return answer.status;
      }),
    );
  const untilAll = (name: string, status: number): Promise<void> =>
    until(
      `every proxy answers ${status} to ${name}`,
      async () => {
        for (const is of await statusesOf(name)) assert.equal(is, status);
      },
      90_000,
      20,
    );
  const holder = async (): Promise<string | undefined> =>
    (
      await cluster.admin
        .makeApiClient(CoordinationV1Api)
        .readNamespacedLease({ namespace: systemNamespace, name: "sluice-operator" })
    ).spec?.holderIdentity;
  const patch = (name: string, spec: object): Promise<string> =>
    cluster.kubectl("patch", "apikey", name, "-n", "team-a", "--type=merge", "-p", JSON.stringify({ spec }));

  before(async () => {
    cluster = await startCluster({ namespaces: ["team-a"], set: lease });
    leader = await cluster.startOperator();
    await cluster.apply(
      names
        .flatMap((name) => [
          secretOf(`${name}-key`, clearOf(name)),
          `apiVersion: sluice.dev/v1alpha1
kind: ApiKey
metadata: { name: ${name}, namespace: team-a }
spec: { user: ${name}@example.com, writeTo: { name: ${name}-key } }
`,
        ])
        .join("---\n"),
    );
    for (const name of names) {
      await untilCondition(cluster, "team-a", `apikey/${name}`, { type: "Programmed", status: "True" });
      await untilAll(name, 200);
    }
    const standby = await cluster.startOperator();
    await until("the standby has its caches", async () =>
      assert.equal((await fetch(`${standby.statusUrl}/readyz`)).status, 200),
    );
  });
  after(async () => {
    if (leader !== undefined) process.kill(leader.pid, "SIGCONT");
    await cluster?.stop();
  });

  it("go live before the Lease passes", async () => {
    const held = await holder();
    process.kill(leader.pid, "SIGSTOP");
    await patch("revoked", { revoked: true });
    await cluster.kubectl("delete", "apikey", "deleted", "-n", "team-a", "--wait=false");
    await patch("restored", { revoked: true });
    for (const name of ["revoked", "deleted", "restored"]) await untilAll(name, 401);
    assert.deepEqual(await statusesOf("kept"), [200, 200]);
    assert.equal(await holder(), held);
  });

  it("are taken back with the key", async () => {
    await patch("restored", { revoked: false });
    await untilAll("restored", 200);
    await untilAll("revoked", 401);
  });

  it("stay, and others are the leader's again, once it goes on", async () => {
    process.kill(leader.pid, "SIGCONT");
    await untilCondition(cluster, "team-a", "apikey/revoked", { type: "Programmed", status: "True" });
    await patch("kept", { revoked: true });
    await untilAll("kept", 401);
    for (const name of ["revoked", "deleted"]) assert.deepEqual(await statusesOf(name), [401, 401]);
    assert.deepEqual(await statusesOf("restored"), [200, 200]);
  });
});
