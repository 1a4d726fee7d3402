/** What an operator that stands by does about revocations. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Cluster } from "../../operator/cluster/api.ts";
import { StandbyRevocationPath } from "../../operator/cluster/standby-revocation-path.ts";
import { configMapsOf, revocationsMapName } from "../../operator/publish/layout.ts";
import type { KeyState } from "../../operator/publish/revocation-book.ts";
import { encode, sha256Hex } from "../../proxy/config/encode.ts";
import { revocationsName, standbyRevocations } from "../../proxy/config/revocations.ts";
import { settings } from "../../proxy/config/schema.ts";
import { keyRecord } from "../harness/key-record.ts";
import { until } from "../harness/until.ts";

const digestOf = (id: string): string => sha256Hex(id);

function standbyOf(context: TestContext, ids: readonly string[]) {
  const states = new Map<string, KeyState>(ids.map((id) => [id, "Live"]));
  const maps = new Map<string, Record<string, string>>();
  const reads: string[] = [];
  const sent: string[][] = [];
  const self = { standsBy: true };
  const publish = (revoked: readonly string[] = []): void => {
    const keys = ids.map((id) => keyRecord(digestOf(id), id, { revoked: revoked.includes(id) }));
    const config = { settings: settings.parse({ maxBodyBytes: 1_000 }), providers: [], routes: [], budgets: [], keys };
    for (const [name, data] of configMapsOf("sluice", encode(config, "pepper"))) maps.set(name, data);
  };
  publish();
  const cluster = {
    core: {
      async readNamespacedConfigMap({ name }: { name: string }) {
        reads.push(name);
        return { data: maps.get(name) ?? {} };
      },
    },
  } as unknown as Cluster;
  const path = new StandbyRevocationPath({
    cluster,
    namespace: "system",
    prefix: "sluice",
    sender: "standby",
    patienceMs: 1,
    stateOf: (id) => states.get(id) ?? "Gone",
    standsBy: () => self.standsBy,
    send: async (text) => void sent.push(standbyRevocations.parse(JSON.parse(text)).digests),
    sent: () => undefined,
    failed: (cause) => assert.fail(String(cause)),
  });
  context.after(() => path.stop());
  const change = (id: string, state: KeyState): void => {
    states.set(id, state);
    path.changed(id);
  };
  const leaderRefuses = (...digests: string[]): void =>
    void maps.set(revocationsMapName("sluice"), {
      [revocationsName]: JSON.stringify({ schemaVersion: 1, id: "x", digests }),
    });
  const look = (): Promise<void> =>
    until("it has looked", () => assert.ok(reads.includes(revocationsMapName("sluice")))).then(() => path.idle());
  return { path, self, reads, sent, change, publish, leaderRefuses, look };
}

describe("an operator that stands by", () => {
  for (const state of ["Revoked", "Gone"] as const)
    it(`sends a key that is ${state} and that the published records accept`, async (context) => {
      const { change, sent, look } = standbyOf(context, ["a/one", "a/two"]);
      change("a/one", state);
      await look();
      assert.deepEqual(sent, [[digestOf("a/one")]]);
    });

  it("sends nothing that the leader has published, in either way", async (context) => {
    for (const published of ["record", "document"]) {
      const { change, sent, look, publish, leaderRefuses } = standbyOf(context, ["a/one"]);
      if (published === "record") publish(["a/one"]);
      else leaderRefuses(digestOf("a/one"));
      change("a/one", "Revoked");
      await look();
      assert.deepEqual(sent, []);
    }
  });

  it("takes back what it sent when the key is live again", async (context) => {
    const { change, sent } = standbyOf(context, ["a/one"]);
    change("a/one", "Revoked");
    await until("it is sent", () => assert.equal(sent.length, 1));
    change("a/one", "Live");
    await until("it is taken back", () => assert.deepEqual(sent, [[digestOf("a/one")], []]));
  });

  it("sends very many at once, as well as few", async (context) => {
    const ids = Array.from({ length: 500 }, (_, at) => `a/key-${at}`);
    const { change, sent, look } = standbyOf(context, ids);
    for (const id of ids.slice(0, 300)) change(id, "Gone");
    await look();
    assert.deepEqual(sent, [ids.slice(0, 300).map(digestOf).sort()]);
  });

  it("reads only what has changed for the next revocation", async (context) => {
    const { change, sent, reads, look } = standbyOf(context, ["a/one", "a/two"]);
    change("a/one", "Revoked");
    await look();
    reads.length = 0;
    change("a/two", "Revoked");
    await until("both are sent", () => assert.equal(sent.at(-1)?.length, 2));
    assert.deepEqual([...reads].sort(), ["sluice-config", "sluice-revocations"]);
  });

  it("does nothing while it leads, nor for keys that are live", async (context) => {
    const { self, path, change, reads } = standbyOf(context, ["a/one", "a/two"]);
    change("a/two", "Live");
    self.standsBy = false;
    change("a/one", "Revoked");
    await path.idle();
    assert.deepEqual(reads, []);
  });
});
