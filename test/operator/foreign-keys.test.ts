/** Which keys of another gateway are still in use, as an ApiKey's status shows it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { apiKeyStatus } from "../../crds/types/api-key.ts";
import { parseProxyStatus } from "../../operator/cluster/proxy-status.ts";
import type { Verdict } from "../../operator/compile/verdict.ts";
import type { WorldObject } from "../../operator/compile/world.ts";
import { foreignKeyPatches } from "../../operator/loops/keys/foreign-keys.ts";
import { foreignKeyLabel } from "../../proxy/config/foreign-key-use.ts";
import { ForeignKeyUses } from "../../proxy/snapshot/foreign-key-uses.ts";

const [first, second] = ["a".repeat(64), "b".repeat(64)];
const labels = [first, second].map(foreignKeyLabel);
const hour = Date.parse("2027-02-01T10:00:00Z");

const meta = { name: "alice", namespace: "team-a", uid: "", generation: 1, createdAtMs: 0, labels: {} };
const verdict = (status: object): Verdict =>
  ({ kind: "ApiKey", meta, status, conditions: [], live: "current" }) as unknown as Verdict;
const object = (values: readonly string[], status: unknown = {}): WorldObject => ({
  kind: "ApiKey",
  meta,
  spec: { user: "alice", digests: values.map((value) => ({ algorithm: "sha256", value })) },
  status,
});

function digestsOf(values: readonly string[], status: unknown, ...used: [string, number][]): unknown {
  const uses = new ForeignKeyUses();
  for (const [value, atMs] of used) uses.note("team-a/alice", value, atMs);
  // As the operator gets it from a proxy.
  const report = parseProxyStatus(JSON.parse(JSON.stringify({ ready: true, foreignKeys: uses.readings() })));
  const [patch] = foreignKeyPatches(
    [verdict({ foreignKeys: values.length })],
    [object(values, status)],
    report?.foreignKeys ?? [],
  );
  const patched = apiKeyStatus.parse({ ...patch?.status });
  return patched.digests?.map(({ index, label, lastUsedAt }) => [index, labels.indexOf(label), lastUsedAt ?? null]);
}

describe("keys of another gateway in the status", () => {
  it("shows which were used, by the hour, and which were not", () => {
    assert.deepEqual(digestsOf([first, second], {}, [second, hour + 1_234]), [
      [0, 0, null],
      [1, 1, "2027-02-01T10:00:00.000Z"],
    ]);
  });

  it("keeps what was known when the proxies have forgotten it, and takes what is newer", () => {
    const before = { digests: [{ index: 0, label: labels[0], lastUsedAt: "2027-01-31T00:00:00.000Z" }] };
    assert.deepEqual(digestsOf([first], before), [[0, 0, "2027-01-31T00:00:00.000Z"]]);
    assert.deepEqual(digestsOf([first], before, [first, hour]), [[0, 0, "2027-02-01T10:00:00.000Z"]]);
  });

  it("follows a digest whose place changes, and forgets one that is gone", () => {
    const before = {
      digests: [
        { index: 0, label: labels[0], lastUsedAt: "2027-01-30T00:00:00.000Z" },
        { index: 1, label: labels[1], lastUsedAt: "2027-01-31T00:00:00.000Z" },
      ],
    };
    assert.deepEqual(digestsOf([second], before), [[0, 1, "2027-01-31T00:00:00.000Z"]]);
  });

  for (const [name, status] of [
    ["no list", { digests: "x" }],
    ["no times", { digests: [{ index: 0, label: labels[0], lastUsedAt: "never" }, null, 7] }],
    ["nothing", null],
  ] as const)
    it(`reads a status that has ${name}`, () => assert.deepEqual(digestsOf([first], status), [[0, 0, null]]));

  it("leaves keys without digests alone", () => {
    assert.deepEqual(foreignKeyPatches([verdict({})], [object([])], []), []);
  });

  it("never has a value", () => {
    const [patch] = foreignKeyPatches([verdict({ foreignKeys: 1 })], [object([first])], []);
    assert.ok(!JSON.stringify(patch?.status).includes(first));
  });
});
