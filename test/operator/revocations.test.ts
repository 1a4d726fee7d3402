/** Revocations reach proxies on a path of their own. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Cluster } from "../../operator/cluster/api.ts";
import { RevocationPath } from "../../operator/cluster/revocation-path.ts";
import { type KeyState, RevocationBook } from "../../operator/publish/revocation-book.ts";
import { sha256Hex } from "../../proxy/config/encode.ts";
import type { KeyRecord } from "../../proxy/config/key-record.ts";
import { maxRevocations, revocationsName } from "../../proxy/config/revocations.ts";
import { keyRecord } from "../harness/key-record.ts";
import fc, { runs } from "../harness/property.ts";
import { until } from "../harness/until.ts";

const digestOf = (id: string, secret = 1): string => sha256Hex(`${id}/${secret}`);

/** ApiKeys as the API server holds them. */
class Keys {
  readonly held = new Map<string, { secret: number; revoked: boolean }>();

  readonly stateOf = (id: string): KeyState => {
    const key = this.held.get(id);
    if (key === undefined) return "Gone";
    return key.revoked ? "Revoked" : "Live";
  };

  /** As a pass compiles them. */
  records(): KeyRecord[] {
    return [...this.held].map(([id, { secret, revoked }]) => keyRecord(digestOf(id, secret), id, { revoked }));
  }
}

const ids = ["a/one", "a/two", "b/one"];
const step = fc.oneof(
  fc.record({ act: fc.constantFrom("create", "revoke", "restore", "delete"), id: fc.constantFrom(...ids) }),
  fc.record({ act: fc.constantFrom("read", "publish", "everywhere"), id: fc.constant("") }),
);

/** An operator's passes, and edits by users between them. */
class Model {
  readonly keys = new Keys();
  readonly book = new RevocationBook(this.keys.stateOf);
  published: KeyRecord[] = [];
  /** What the slowest proxy serves. */
  slowest: KeyRecord[] = [];
  /** ApiKeys that were deleted, and the turn of the last deletion. */
  readonly deleted = new Map<string, number>();
  #pass: { records: KeyRecord[]; turn: number } | null = null;
  #secret = 0;

  act(act: string, id: string): void {
    if (act === "read") this.#pass = { turn: this.book.reading(), records: this.keys.records() };
    else if (act === "publish") this.#publish();
    else if (act === "everywhere") {
      this.slowest = this.published;
      this.book.everywhere();
    } else this.#edit(act, id);
  }

  #edit(act: string, id: string): void {
    const { held } = this.keys;
    const key = held.get(id);
    if (act === "create" && key === undefined) held.set(id, { secret: ++this.#secret, revoked: false });
    if (act === "delete") held.delete(id);
    if (key !== undefined && act !== "delete") key.revoked = act === "create" ? key.revoked : act === "revoke";
    this.book.changed(id);
    if (act === "delete") this.deleted.set(id, this.book.reading());
  }

  #publish(): void {
    if (this.#pass === null) return;
    const { records, turn } = this.#pass;
    this.#pass = null;
    this.book.publishing(records, turn);
    this.published = records;
    this.book.published(records, turn);
    for (const [id, since] of this.deleted) if (since <= turn) this.deleted.delete(id);
  }
}

describe("the document of revocations", () => {
  it("names what some proxy accepts and the API server doesn't, no more, and is empty once all is published", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const model = new Model();
        for (const { act, id } of steps) {
          model.act(act, id);
          const refused = new Set(model.book.document().digests);
          for (const record of [...model.published, ...model.slowest].filter(({ revoked }) => !revoked)) {
            const now = model.keys.held.get(record.id);
            const good = now !== undefined && !now.revoked && digestOf(record.id, now.secret) === record.digest;
            if (!good) assert.ok(refused.has(record.digest), `${act} ${id}: ${record.id} is refused`);
            else if (!model.deleted.has(record.id))
              assert.ok(!refused.has(record.digest), `${act} ${id}: ${record.id} is accepted`);
          }
        }
        for (const act of ["read", "publish", "everywhere"]) model.act(act, "");
        assert.deepEqual(model.book.document().digests, []);
      }),
      { numRuns: runs(2_000) },
    );
  });

  it("is found again by a new leader: what changed without one, and what a slow proxy may still accept", () => {
    const keys = new Keys();
    for (const id of ["a/revoked", "a/live"]) keys.held.set(id, { secret: 1, revoked: id === "a/revoked" });
    const book = new RevocationBook(keys.stateOf);
    const before = ["a/revoked", "a/live", "a/deleted"].map((id) => keyRecord(digestOf(id), id));
    const carried = [digestOf("a/published-as-revoked"), digestOf("a/live")];
    book.found(before, carried);
    const wanted = ["a/revoked", "a/deleted", "a/published-as-revoked"].map((id) => digestOf(id)).sort();
    assert.deepEqual(book.document().digests, wanted);
  });

  it("keeps a key refused whose record stays as it was, since the object is invalid", () => {
    const keys = new Keys();
    keys.held.set("a/one", { secret: 1, revoked: true });
    const book = new RevocationBook(keys.stateOf);
    const lastGood = [keyRecord(digestOf("a/one"), "a/one")];
    book.found(lastGood, []);
    for (let pass = 0; pass < 2; pass++) {
      const turn = book.reading();
      book.publishing(lastGood, turn);
      book.published(lastGood, turn);
      book.everywhere();
      assert.deepEqual(book.document().digests, [digestOf("a/one")]);
    }
  });

  it("has room for every namespace, though one of them deletes thousands of keys", () => {
    const mine = Array.from({ length: maxRevocations + 10 }, (_, index) => `a/${index}`);
    const book = new RevocationBook(() => "Gone");
    book.found(
      [...mine, "b/one"].map((id) => keyRecord(digestOf(id), id)),
      [],
    );
    const { digests, text } = book.document();
    assert.equal(digests.length, maxRevocations);
    assert.ok(digests.includes(digestOf("b/one")));
    assert.ok(text.length < 1_000_000, `${text.length} bytes`);
  });
});

/** A path whose writes end when the test says so. */
function pathOf(context: TestContext) {
  const keys = new Keys();
  const log: string[] = [];
  const waiting: PromiseWithResolvers<void>[] = [];
  const lease = { held: true };
  const digestsIn = (text: string): number => (JSON.parse(text) as { digests: string[] }).digests.length;
  const cluster = {
    async apply({ metadata, data }: { metadata: { name: string }; data: Record<string, string> }) {
      log.push(`write ${metadata.name}: ${digestsIn(data[revocationsName] ?? "")}`);
      const write = Promise.withResolvers<void>();
      waiting.push(write);
      await write.promise;
    },
    core: { readNamespacedConfigMap: async () => ({}) },
  } as unknown as Cluster;
  const path = new RevocationPath({
    cluster,
    namespace: "system",
    prefix: "sluice",
    stateOf: keys.stateOf,
    leading: () => lease.held,
    send: async (text) => void log.push(`send: ${digestsIn(text)}`),
    nudge: async () => void log.push("nudge"),
    written: () => undefined,
    failed: () => void log.push("failed"),
  });
  context.after(() => path.stop());
  for (const id of ids) keys.held.set(id, { secret: 1, revoked: false });
  const revoke = (id: string): void => {
    keys.held.set(id, { secret: 1, revoked: true });
    path.changed(id);
  };
  const logged = (...lines: string[]): Promise<void> => until(lines.join(), () => assert.deepEqual(log, lines));
  return { path, keys, log, waiting, lease, revoke, logged };
}

describe("the path of a revocation", () => {
  it("leads past a pass that hangs, and a second revocation past a write that hangs", async (context) => {
    const { path, keys, revoke, waiting, logged } = pathOf(context);
    await path.found(keys.records());
    // A pass has begun to read, and reads for ever.
    path.reading();
    revoke("a/one");
    await logged("send: 1", "write sluice-revocations: 1");
    revoke("b/one");
    await logged("send: 1", "write sluice-revocations: 1", "send: 2");
    waiting[0]?.resolve();
    await logged("send: 1", "write sluice-revocations: 1", "send: 2", "nudge", "write sluice-revocations: 2");
    waiting[1]?.resolve();
  });

  it("is tried again after a failure, and no pass waits until it succeeds", async (context) => {
    const { path, keys, revoke, waiting, logged } = pathOf(context);
    await path.found(keys.records());
    revoke("a/one");
    await logged("send: 1", "write sluice-revocations: 1");
    waiting[0]?.reject(new Error("refused"));
    await logged("send: 1", "write sluice-revocations: 1", "failed");
    await path.idle();
    await logged("send: 1", "write sluice-revocations: 1", "failed", "write sluice-revocations: 1");
    waiting[1]?.resolve();
    await logged("send: 1", "write sluice-revocations: 1", "failed", "write sluice-revocations: 1", "nudge");
  });

  it("goes on where the lease was renewed late", async (context) => {
    const { path, keys, lease, revoke, waiting, log, logged } = pathOf(context);
    await path.found(keys.records());
    lease.held = false;
    revoke("a/one");
    await path.idle();
    assert.deepEqual(log, []);
    lease.held = true;
    await logged("send: 1", "write sluice-revocations: 1");
    waiting[0]?.resolve();
  });

  it("is taken before a pass publishes records that it read before the revocation", async (context) => {
    const { path, keys, revoke, waiting, log, logged } = pathOf(context);
    await path.found([]);
    const turn = path.reading();
    const read = keys.records();
    revoke("a/two");
    await path.idle();
    assert.deepEqual([...log], [], "no published record accepts the key");
    const publishing = path.publishing(read, turn).then(() => void log.push("pass"));
    await logged("send: 1", "write sluice-revocations: 1");
    waiting[0]?.resolve();
    await publishing;
    await logged("send: 1", "write sluice-revocations: 1", "nudge", "pass");
  });

  it("ends quietly: proxies need not hurry to forget what their config says by now", async (context) => {
    const { path, keys, revoke, waiting, log, logged } = pathOf(context);
    await path.found(keys.records());
    revoke("a/one");
    await logged("send: 1", "write sluice-revocations: 1");
    waiting[0]?.resolve();
    await logged("send: 1", "write sluice-revocations: 1", "nudge");
    const turn = path.reading();
    const records = keys.records();
    await path.publishing(records, turn);
    path.published(records, turn);
    await path.idle();
    path.everywhere();
    await logged("send: 1", "write sluice-revocations: 1", "nudge", "write sluice-revocations: 0");
    waiting[1]?.resolve();
    await path.idle();
    assert.equal(log.length, 4);
    assert.ok(path.isEnough(""));
  });
});
