/** What a pass of the operator remembers of the cluster for the next one. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KeyDuties } from "../../operator/cluster/key-duties.ts";
import { missingKeys } from "../../operator/cluster/keys.ts";
import type { Rollout } from "../../operator/cluster/live-book.ts";
import { dueRotations } from "../../operator/cluster/rotation.ts";
import type { SecretValues } from "../../operator/cluster/secrets.ts";
import { StatusBook, type StatusWrite } from "../../operator/cluster/status-book.ts";
import {
  type CustomObject,
  SecretFacts,
  SecretRefs,
  secretRefs,
  valuesOf,
  WorldObjects,
} from "../../operator/cluster/world.ts";
import { compile } from "../../operator/compile/compile.ts";
import { newVerdict } from "../../operator/compile/outcome.ts";
import type { Verdict } from "../../operator/compile/verdict.ts";
import type { WorldObject } from "../../operator/compile/world.ts";
import { secretFact } from "../../operator/secrets.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { encode, sha256Hex } from "../../proxy/config/encode.ts";
import { credentialName, credentialNames } from "../../proxy/config/names.ts";
import { certificateAuthority } from "../harness/certificates.ts";
import fc from "../harness/property.ts";

const nowMs = Date.parse("2026-11-20T12:00:00Z");
const pepper = new Uint8Array(32).fill(1);

function object(name: string, spec: unknown, kind: WorldObject["kind"] = "ApiKey", status: unknown = {}): WorldObject {
  return { kind, meta: { name, namespace: "a", uid: name, generation: 1, createdAtMs: 1, labels: {} }, spec, status };
}
const apiKey = (name: string, secret: string, more: object = {}): WorldObject =>
  object(name, { user: "u", writeTo: { name: secret }, ...more });
const budget = (secret: string): WorldObject =>
  object(
    "b",
    { amount: "1", period: "Daily", alerts: [{ webhook: { secretRef: { name: secret, key: "url" } } }] },
    "Budget",
  );

const anyObject = fc
  .tuple(
    fc.constantFrom("k1", "k2", "k3"),
    fc.constantFrom("s1", "s2", "s3"),
    fc.constantFrom({}, { revoked: true }, { user: 7 }, { rotation: { every: "1d", grace: "1h" } }),
  )
  .map(([name, secret, more]) => apiKey(name, secret, more));
const anyWorld = fc.array(fc.oneof(anyObject, fc.constantFrom("s1", "s9").map(budget)), { maxLength: 6 });
const anySecrets = fc
  .uniqueArray(fc.constantFrom("a/s1", "a/s2", "a/s3"), { maxLength: 3 })
  .map((refs) => new Map(refs.map((ref) => [ref, { apiKey: ref }])));

describe("what the operator remembers of the cluster", () => {
  it("takes objects of its own class, and notices when one changes it", () => {
    const object = (name: string, labels: Record<string, string>): CustomObject => ({ metadata: { name, labels } });
    const [plain, blue] = [object("plain", {}), object("blue", { "sluice.dev/class": "blue" })];
    const names = (objects: WorldObjects, all: CustomObject[]): string[] =>
      objects.of(all).map(({ meta }) => meta.name);
    const [first, second] = [new WorldObjects("ApiKey"), new WorldObjects("ApiKey", "blue")];
    assert.deepEqual([names(first, [plain, blue]), names(second, [plain, blue])], [["plain"], ["blue"]]);
    const moved = object("plain", { "sluice.dev/class": "blue" });
    assert.deepEqual([names(first, [moved, blue]), names(second, [moved, blue])], [[], ["plain", "blue"]]);
  });

  it("tells which Secrets come to be referred to, and which are no more", () => {
    fc.assert(
      fc.property(fc.array(anyWorld, { maxLength: 8 }), (worlds) => {
        const refs = new SecretRefs();
        const now = new Set<string>();
        for (const objects of worlds) {
          const { come, gone } = refs.update(objects);
          assert.ok(come.every((ref) => !now.has(ref)) && gone.every((ref) => now.has(ref)));
          for (const ref of come) now.add(ref);
          for (const ref of gone) now.delete(ref);
          assert.deepEqual([...now].sort(), [...new Set(objects.flatMap(secretRefs))].sort());
        }
      }),
    );
  });

  it("finds the same keys to make and to rotate as a look at all of them", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyWorld, fc.option(anySecrets), fc.nat(3)), { maxLength: 8 }), (passes) => {
        const duties = new KeyDuties();
        let secrets: ReadonlyMap<string, SecretValues> = new Map();
        for (const [objects, changed, days] of passes) {
          secrets = changed ?? secrets;
          const atMs = nowMs + days * 86_400_000;
          const { missing, turns } = duties.of(objects, secrets, atMs);
          const named = (all: { object: WorldObject }[]) => all.map((one) => one.object.meta.name).sort();
          assert.deepEqual(named(missing), named(missingKeys(objects, secrets)));
          const inOrder = (all: unknown[]) => all.map((one) => JSON.stringify(one)).sort();
          assert.deepEqual(inOrder(turns), inOrder(dueRotations(objects, secrets, atMs)));
        }
      }),
    );
  });

  it("keeps an object for as long as the API server's is the same, without those that only wait for finalizers", () => {
    const objects = new WorldObjects("ApiKey");
    const raw = (name: string, more: object = {}): CustomObject => ({
      metadata: { name, namespace: "a", ...more },
      spec: {},
    });
    const [one, two] = [raw("one"), raw("two")];
    const first = objects.of([one, two]);
    const second = objects.of([raw("zero"), one, raw("two", { deletionTimestamp: new Date() })]);
    assert.deepEqual(
      second.map(({ meta }) => meta.name),
      ["zero", "one"],
    );
    assert.equal(second[1], first[0]);
  });

  it("recomputes facts only of Secrets that changed, and all of them for a new pepper", () => {
    const facts = new SecretFacts();
    const [one, two] = [{ apiKey: "one" }, { apiKey: "two" }];
    const secrets = new Map([
      ["a/s1", one],
      ["a/s2", two],
    ]);
    const first = facts.of(secrets, pepper);
    assert.equal(facts.of(secrets, new Uint8Array(pepper)), first);
    const second = facts.of(new Map([...secrets, ["a/s2", { apiKey: "other" }]]), pepper);
    assert.equal(second["a/s1"], first["a/s1"]);
    assert.deepEqual(second["a/s2"], { apiKey: secretFact(pepper, "other") });
    const other = new Uint8Array(32).fill(2);
    assert.deepEqual(facts.of(secrets, other)["a/s1"], { apiKey: secretFact(other, "one") });
  });

  it("hands on the clear values of those Secrets only that others than ApiKeys refer to", () => {
    const secrets = new Map([
      ["a/s1", { apiKey: "slc_of_a_caller" }],
      ["a/s9", { url: "https://hooks.example.com" }],
    ]);
    const facts = new SecretFacts().of(secrets, pepper);
    assert.deepEqual([...valuesOf([budget("s9")], secrets, facts).values()], ["https://hooks.example.com"]);
  });
});

describe("a provider's client certificate", () => {
  const of = (spec: unknown): WorldObject => object("p", spec, "LLMProvider");

  it("is a Secret that the provider refers to, in addition to its credentials", () => {
    const tls = { clientCertificate: { secretRef: { name: "pair" } } };
    assert.deepEqual(secretRefs(of({ tls })), ["a/pair"]);
    assert.deepEqual(secretRefs(of({ tls, credentials: { secretRef: { name: "s1" } } })), ["a/s1", "a/pair"]);
    for (const odd of [null, {}, { clientCertificate: null }, { clientCertificate: { secretRef: 7 } }, 7]) {
      assert.deepEqual(secretRefs(of({ tls: odd })), []);
      assert.deepEqual(secretRefs(of({ tokenService: { tls: odd } })), []);
    }
    assert.deepEqual(secretRefs(of({ tokenService: { tls } })), ["a/pair"]);
    assert.deepEqual(secretRefs(of({ tokenService: 7 })), []);
  });

  it("is published by names, and its clear values are handed on for the Secret only", async () => {
    const pair = await (await certificateAuthority()).issue("gateway.internal");
    const secrets = new Map([
      ["a/pair", { "tls.crt": pair.cert, "tls.key": pair.key, "ca.crt": "-----BEGIN CERTIFICATE-----" }],
    ]);
    const facts = new SecretFacts().of(secrets, pepper);
    const spec = {
      type: "OpenAICompatible",
      endpoint: "https://llm.example.com",
      models: [{ name: "m" }],
      tls: { clientCertificate: { secretRef: { name: "pair" } } },
    };
    const settings = { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: [] };
    const input = {
      world: { objects: [of(spec)], namespaces: { a: {} }, secrets: facts },
      settings,
      previous: null,
      nowMs,
    };
    const { config } = compile(input, capabilitiesByType);
    const { manifest, documents } = encode(config, sha256Hex(pepper));
    const values = valuesOf([of(spec)], secrets, facts);
    const clear = new Map([...values].map(([digest, value]) => [credentialName(digest), value]));
    assert.deepEqual(manifest.credentials.map((name) => clear.get(name)).sort(), [pair.cert, pair.key].sort());
    assert.deepEqual(config.providers.flatMap(credentialNames).sort(), manifest.credentials);
    assert.doesNotMatch(JSON.stringify(documents), /-----BEGIN/);
    const states = [nowMs, Date.parse("2100-01-01")].map((at) =>
      compile({ ...input, nowMs: at }, capabilitiesByType).verdicts[0]?.conditions.map((condition) => condition.type),
    );
    assert.deepEqual(
      states,
      [["PriceUnknown"], ["PriceUnknown", "CertificateExpired"]],
      "the end is reported when it comes, though nothing else changed",
    );
  });
});

describe("which statuses are due", () => {
  const everywhere: Rollout = { revision: "r1", proxies: ["r1", "r1"] };
  const verdictOf = (one: WorldObject): Verdict => ({
    ...newVerdict(one.kind, one.meta),
    live: "current",
    entry: { id: one.meta.name },
  });
  const names = (due: StatusWrite[]): string[] => due.map(({ verdict }) => verdict.meta.name);
  /** As the API server and the watch would give them back. */
  const written = (due: StatusWrite[], objects: WorldObject[]): WorldObject[] =>
    objects.map((object) => {
      const status = due.find(({ object: of }) => of === object)?.status;
      return status === undefined ? object : { ...object, meta: { ...object.meta }, status };
    });

  it("all at first, none once they are written, and one that changes alone", () => {
    const book = new StatusBook();
    const first = [apiKey("k1", "s1"), apiKey("k2", "s2")];
    const due = book.due(first, first.map(verdictOf), everywhere, nowMs);
    assert.deepEqual(names(due), ["k1", "k2"]);
    const told = written(due, first);
    const verdicts = told.map(verdictOf);
    assert.deepEqual(names(book.due(told, verdicts, everywhere, nowMs)), []);
    assert.deepEqual(names(book.due(told, verdicts, { ...everywhere, revision: "r2" }, nowMs)), []);
    const changed = [told[0] as WorldObject, apiKey("k2", "s3")];
    const second = [
      verdicts[0] as Verdict,
      { ...verdictOf(changed[1] as WorldObject), entry: { id: "k2", other: true } },
    ];
    assert.deepEqual(names(book.due(changed, second, { revision: "r3", proxies: ["r3", "r2"] }, nowMs)), ["k2"]);
  });

  it("one that could not be written is due again", () => {
    const book = new StatusBook();
    const objects = [apiKey("k1", "s1")];
    const verdicts = objects.map(verdictOf);
    book.due(objects, verdicts, everywhere, nowMs);
    assert.deepEqual(names(book.due(objects, verdicts, everywhere, nowMs)), ["k1"]);
  });

  it("one that is pending is looked at for as long as it is", () => {
    const book = new StatusBook();
    const first = [apiKey("k1", "s1")];
    const told = written(book.due(first, first.map(verdictOf), { ...everywhere, proxies: ["r1", null] }, nowMs), first);
    const verdicts = told.map(verdictOf);
    assert.deepEqual(names(book.due(told, verdicts, { ...everywhere, proxies: ["r1", null] }, nowMs)), []);
    assert.deepEqual(names(book.due(told, verdicts, everywhere, nowMs)), ["k1"]);
  });

  it("progress alone is reported once in a while, however often proxies come and go, and the end of it at once", () => {
    const book = new StatusBook();
    const first = [apiKey("k1", "s1")];
    const rollouts: Rollout[] = [
      ["r1", null],
      [null, null],
      [null, "r1"],
      ["r0", "r1"],
    ].map((proxies) => ({
      revision: "r1",
      proxies,
    }));
    const [half = everywhere] = rollouts;
    let told = written(book.due(first, first.map(verdictOf), half, nowMs), first);
    let writes = 0;
    const seconds = 95;
    for (let second = 1; second <= seconds; second++) {
      const verdicts = told.map(verdictOf);
      const due = book.due(told, verdicts, rollouts[second % rollouts.length] ?? half, nowMs + second * 1_000);
      writes += due.length;
      told = written(due, told);
    }
    assert.ok(writes >= 1 && writes <= 3, `${writes} writes`);
    const [last = told[0]] = told;
    const refused = { ...verdictOf(last as WorldObject), status: { user: "bob" } };
    assert.deepEqual(
      names(book.due(told, [refused], half, nowMs + 96_000)),
      ["k1"],
      "what else changes is no progress",
    );
    assert.deepEqual(names(book.due(told, told.map(verdictOf), everywhere, nowMs + 97_000)), ["k1"]);
  });

  const half: Rollout = { revision: "r1", proxies: ["r1", null] };
  const crowd = (count: number): WorldObject[] => Array.from({ length: count }, (_, at) => apiKey(`k${at}`, `s${at}`));

  it("for few new objects, that they are on their way; for very many, only that they are live, in one write each", () => {
    for (const [count, announced] of [
      [100, 100],
      [1_000, 0],
    ] as const) {
      const book = new StatusBook();
      const objects = crowd(count);
      const first = book.due(objects, objects.map(verdictOf), half, nowMs);
      assert.equal(first.length, announced);
      const told = written(first, objects);
      assert.equal(book.due(told, told.map(verdictOf), everywhere, nowMs + 1_000).length, count);
    }
  });

  it("of very many, at once what is refused, and after a while those that are still on their way", () => {
    const book = new StatusBook();
    const objects = crowd(1_000);
    const verdicts = objects.map(verdictOf);
    const refused: Verdict = { ...(verdicts[7] as Verdict), live: "none", entry: null };
    assert.deepEqual(names(book.due(objects, verdicts.with(7, refused), half, nowMs)), ["k7"]);
    assert.equal(book.due(objects, verdicts, half, nowMs + 29_000).length, 0);
    assert.equal(book.due(objects, verdicts, half, nowMs + 31_000).length, 999);
  });

  it("of more than can be written for a while, some of each namespace, and the rest once those are written", () => {
    const book = new StatusBook();
    const other = (name: string): WorldObject => {
      const object = apiKey(name, name);
      return { ...object, meta: { ...object.meta, namespace: "z", uid: `z/${name}` } };
    };
    let objects = [...crowd(5_000), other("late"), other("later")];
    const counts: number[] = [];
    const reported = new Set<string>();
    for (let second = 0; counts.at(-1) !== 0; second++) {
      const due = book.due(objects, objects.map(verdictOf), everywhere, nowMs + second * 1_000);
      for (const { object } of due) reported.add(object.meta.uid);
      assert.equal(book.hasMore, reported.size < objects.length, `after ${reported.size}`);
      const others = due.filter(({ object }) => object.meta.namespace === "z");
      if (second === 0) assert.deepEqual(names(others), ["late", "later"]);
      counts.push(due.length);
      objects = written(due, objects);
    }
    assert.deepEqual(counts, [2_000, 2_000, 1_002, 0]);
  });

  it("of very many that are on their way, those with other news", () => {
    for (const [news, change, expected] of [
      ["nothing", (verdict: Verdict) => verdict, []],
      ["a refusal", (verdict: Verdict): Verdict => ({ ...verdict, live: "none", entry: null }), ["k7"]],
      ["another form", (verdict: Verdict): Verdict => ({ ...verdict, entry: { id: "k7", form: 2 } as never }), []],
    ] as const) {
      const book = new StatusBook();
      const objects = crowd(1_000);
      const verdicts = objects.map(verdictOf);
      assert.deepEqual(names(book.due(objects, verdicts, half, nowMs)), []);
      const next = verdicts.with(7, change(verdicts[7] as Verdict));
      assert.deepEqual(names(book.due(objects, next, half, nowMs + 1_000)), expected, news);
      const none = book.due(objects, next, { revision: "r1", proxies: [] }, nowMs + 2_000);
      assert.equal(none.length, 1_000, "no proxy is left");
    }
  });

  it("the same for changes of objects that are live", () => {
    for (const [count, announced] of [
      [100, 100],
      [1_000, 0],
    ] as const) {
      const book = new StatusBook();
      const objects = crowd(count);
      const live = written(book.due(objects, objects.map(verdictOf), everywhere, nowMs), objects);
      book.due(live, live.map(verdictOf), everywhere, nowMs);
      const changed = live.map((object) => ({ ...object, meta: { ...object.meta, generation: 2 } }));
      const verdicts = changed.map((object) => ({ ...verdictOf(object), entry: { id: object.meta.name, form: 2 } }));
      const rollout: Rollout = { revision: "r2", proxies: ["r2", "r1"] };
      assert.equal(book.due(changed, verdicts, rollout, nowMs).length, announced);
      assert.equal(book.due(changed, verdicts, { ...rollout, proxies: ["r2", "r2"] }, nowMs + 1_000).length, count);
    }
  });

  it("all when there is no proxy any more, and all again when they are back", () => {
    const book = new StatusBook();
    const first = [apiKey("k1", "s1"), apiKey("k2", "s2")];
    const told = written(book.due(first, first.map(verdictOf), everywhere, nowMs), first);
    const verdicts = told.map(verdictOf);
    assert.deepEqual(names(book.due(told, verdicts, everywhere, nowMs)), []);
    const none = book.due(told, verdicts, { revision: "r1", proxies: [] }, nowMs);
    assert.deepEqual(names(none), ["k1", "k2"]);
    const alone = written(none, told);
    assert.deepEqual(names(book.due(alone, alone.map(verdictOf), everywhere, nowMs)), ["k1", "k2"]);
  });
});
