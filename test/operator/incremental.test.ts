import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Kind } from "../../crds/kinds.ts";
import { type Compiled, compile } from "../../operator/compile/compile.ts";
import { previousOf, rotatedAtOf } from "../../operator/compile/key-secret.ts";
import { CompileMemo } from "../../operator/compile/memo.ts";
import type { CompileInput, SecretFact, WorldObject } from "../../operator/compile/world.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { canonicalJson, EncodeMemo, encode } from "../../proxy/config/encode.ts";
import { applyDelta, delta, MapMemo } from "../../proxy/config/incremental.ts";
import fc, { runs } from "../harness/property.ts";

const startMs = Date.parse("2026-11-20T12:00:00Z");
const hourMs = 3_600_000;
const namespaces = ["a", "b"];
const digest = (seed: string): string => Buffer.from(seed.padStart(32, "0")).toString("hex");
const fact = (seed: string): SecretFact => ({ digest: digest(seed), displayPrefix: "slc_0000" });

/** Enough keys that are well for one more to be a small part of them. */
const steadyKeys = 80;

interface Cluster {
  objects: WorldObject[];
  secrets: Record<string, Record<string, SecretFact>>;
  labels: Record<string, Record<string, string>>;
  roles: string[];
  nowMs: number;
  /** A restart: only the bytes of the published config are known. */
  reread: boolean;
}

let versions = 0;
function object(
  kind: Kind,
  namespace: string,
  name: string,
  spec: unknown,
  labels: Record<string, string> = {},
  createdAtMs = 0,
): WorldObject {
  const uid = `${kind}/${namespace}/${name}/${++versions}`;
  return {
    kind,
    meta: { name, namespace, uid, generation: versions, createdAtMs: startMs - createdAtMs * hourMs, labels },
    spec,
    status: {},
  };
}

const providerSpecs: unknown[] = [
  { type: "OpenAICompatible", endpoint: "http://llm.example.com/v1", models: [{ name: "m" }, { name: "n" }] },
  {
    type: "OpenAICompatible",
    endpoint: "http://llm.example.com/v1",
    models: [{ name: "m" }],
    allowedNamespaces: { from: "All" },
  },
  {
    type: "OpenAI",
    endpoint: "http://llm.example.com/v1",
    credentials: { secretRef: { name: "s1" } },
    models: [{ name: "n" }],
  },
  { type: "OpenAICompatible", endpoint: "ftp://no" },
];
const policySpecs: unknown[] = [
  { match: { models: ["m"] }, routing: { targets: [{ provider: { name: "x" } }] } },
  {
    match: { models: ["m", "n"] },
    routing: { targets: [{ provider: { name: "x" } }, { provider: { name: "y", namespace: "a" }, model: "m" }] },
  },
  {
    match: { pathPrefix: "/p" },
    routing: { targets: [{ provider: { name: "y" } }] },
    allowedNamespaces: { from: "All" },
  },
  { match: { models: [] }, routing: {} },
];
const budgetSpecs: unknown[] = [
  { amount: "10", period: "Daily" },
  { amount: "10", period: "Daily", scope: { selector: { matchLabels: { tier: "gold" } } } },
  {
    amount: "5",
    period: "Monthly",
    scope: { selector: { matchExpressions: [{ key: "tier", operator: "DoesNotExist" }] } },
  },
  { amount: "ten" },
];
const keySpecs: ((secret: string) => unknown)[] = [
  (name) => ({ user: "u", writeTo: { name } }),
  (name) => ({ user: "u", writeTo: { name }, revoked: true }),
  (name) => ({ user: "u", writeTo: { name }, models: ["m", "nowhere"] }),
  (name) => ({ user: "u", writeTo: { name }, role: "nobody" }),
  (name) => ({ user: "u", writeTo: { name }, expiresAt: new Date(startMs + hourMs).toISOString() }),
  (name) => ({ user: "u", writeTo: { name }, expiresAfter: "3h" }),
  (name) => ({ user: "u", writeTo: { name }, rotation: { every: "30d", grace: "2h" } }),
  (name) => ({ user: "u", writeTo: { name, key: "none" } }),
  (name) => ({ user: "u", writeTo: { name }, digests: [{ value: "ab".repeat(32) }] }),
  () => ({ user: "u", digests: [{ value: "cd".repeat(32) }, { value: "ab".repeat(32) }] }),
  () => ({ user: "u", digests: [{ value: "cd".repeat(32) }] }),
  () => ({ user: 7, revoked: true }),
];

type Edit = (cluster: Cluster) => void;

const put =
  (made: () => WorldObject): Edit =>
  (cluster) => {
    const now = made();
    const at = cluster.objects.findIndex(
      (one) => one.kind === now.kind && one.meta.namespace === now.meta.namespace && one.meta.name === now.meta.name,
    );
    cluster.objects = at < 0 ? [...cluster.objects, now] : cluster.objects.with(at, now);
  };

const anyNamespace = fc.constantFrom(...namespaces);
const anyLabels = fc.constantFrom<Record<string, string>>({}, { tier: "gold" }, { tier: "iron" });
const anySecret = fc.constantFrom("s1", "s2", "s3", "steady-3", "missing");
const anyKeyName = fc.constantFrom("k1", "k2", "k3", "steady-3", "steady-7", "steady-40");

const ofKind = (kind: Kind, specs: readonly unknown[], names: string[]): fc.Arbitrary<Edit> =>
  fc
    .tuple(anyNamespace, fc.constantFrom(...names), fc.constantFrom(...specs), fc.nat(3))
    .map(([namespace, name, spec, age]) => put(() => object(kind, namespace, name, spec, {}, age)));

const anyEdit: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(anyNamespace, anyKeyName, fc.constantFrom(...keySpecs), anySecret, anyLabels, fc.nat(9))
      .map(([namespace, name, spec, secret, labels, age]) =>
        put(() => object("ApiKey", namespace, name, spec(secret), labels, age)),
      ),
  },
  ofKind("LLMProvider", providerSpecs, ["x", "y"]),
  ofKind("RoutingPolicy", policySpecs, ["r", "s"]),
  ofKind("Budget", budgetSpecs, ["b1", "b2"]),
  {
    weight: 3,
    arbitrary: fc.nat(200).map(
      (at): Edit =>
        (cluster) =>
          void (cluster.objects = cluster.objects.toSpliced(at % cluster.objects.length, 1)),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(anyNamespace, anySecret, fc.constantFrom("one", "two", "three", "steady-a-5"), fc.nat(3)).map(
      ([namespace, name, seed, shape]): Edit =>
        (cluster) => {
          const apiKey = fact(seed);
          const rotated = {
            apiKey,
            [previousOf("apiKey")]: fact(`${seed}-before`),
            [rotatedAtOf("apiKey")]: { ...fact("at"), momentMs: cluster.nowMs },
          };
          const facts =
            [{ apiKey }, { apiKey: { ...apiKey, unusable: "the value is empty" } }, rotated, { other: apiKey }][
              shape
            ] ?? {};
          cluster.secrets = { ...cluster.secrets, [`${namespace}/${name}`]: facts };
        },
    ),
  },
  fc.constantFrom<Edit>(
    (cluster) => void (cluster.nowMs += hourMs),
    (cluster) => void (cluster.nowMs -= 2 * hourMs),
    (cluster) => void (cluster.roles = cluster.roles.includes("nobody") ? ["developer"] : ["developer", "nobody"]),
    (cluster) => void (cluster.labels = { ...cluster.labels, b: { tier: "gold" } }),
    (cluster) => void (cluster.objects = [...cluster.objects].reverse()),
    (cluster) => void (cluster.reread = true),
    () => undefined,
  ),
);

function start(): Cluster {
  const secrets: Cluster["secrets"] = { "a/s1": { apiKey: fact("one") }, "b/s1": { apiKey: fact("two") } };
  const steady = Array.from({ length: steadyKeys }, (_, at) => {
    const namespace = namespaces[at % 2] ?? "a";
    secrets[`${namespace}/steady-${at}`] = { apiKey: fact(`steady-${namespace}-${at}`) };
    return object(
      "ApiKey",
      namespace,
      `steady-${at}`,
      { user: `u${at}`, writeTo: { name: `steady-${at}` } },
      {},
      at % 3,
    );
  });
  const first = [object("LLMProvider", "a", "x", providerSpecs[0]), object("RoutingPolicy", "a", "r", policySpecs[0])];
  return {
    objects: [...first, ...steady],
    secrets,
    labels: { a: {}, b: {} },
    roles: ["developer"],
    nowMs: startMs,
    reread: false,
  };
}

function inputOf(cluster: Cluster, previous: CompileInput["previous"]): CompileInput {
  const roles = Object.fromEntries(cluster.roles.map((name) => [name, { permissions: [] }]));
  return {
    world: { objects: cluster.objects, namespaces: cluster.labels, secrets: cluster.secrets },
    settings: { proxy: { maxBodyBytes: 1_000_000, roles }, sharingNamespaces: "*", knowsRoles: true },
    previous,
    nowMs: cluster.nowMs,
  };
}

describe("compiling and encoding repeatedly", () => {
  it("gives the same result as a full run, whatever changes in between", () => {
    fc.assert(
      fc.property(fc.array(fc.array(anyEdit, { maxLength: 3 }), { minLength: 1, maxLength: 14 }), (passes) => {
        const cluster = start();
        const memo = new CompileMemo();
        const written = new EncodeMemo();
        let previous: CompileInput["previous"] = null;
        for (const edits of passes) {
          for (const edit of edits) edit(cluster);
          if (cluster.reread) previous = structuredClone(previous);
          cluster.reread = false;
          const input = inputOf(cluster, previous);
          const whole = structuredClone(compile(input, capabilitiesByType));
          const again: Compiled = compile(input, capabilitiesByType, memo);
          assert.deepEqual(again, whole);
          assert.deepEqual(encode(again.config, "id", written), encode(whole.config, "id"));
          previous = again.config;
        }
      }),
      { numRuns: runs(120) },
    );
  });

  it("leaves everything of a key that did not change as the same objects, and writes only the changed key's shard", () => {
    const cluster = start();
    const memo = new CompileMemo();
    const written = new EncodeMemo();
    const first = compile(inputOf(cluster, null), capabilitiesByType, memo);
    const before = encode(first.config, "id", written);
    put(() => object("ApiKey", "a", "steady-4", { user: "other", writeTo: { name: "steady-4" } }))(cluster);
    const second = compile(inputOf(cluster, first.config), capabilitiesByType, memo);
    const after = encode(second.config, "id", written);
    assert.equal(second.config.keys.filter((key) => !first.config.keys.includes(key)).length, 1);
    const keys = (all: Compiled) => all.verdicts.filter(({ kind }) => kind === "ApiKey");
    assert.equal(keys(second).filter((verdict) => !keys(first).includes(verdict)).length, 1);
    const changed = Object.keys(after.documents).filter((name) => after.documents[name] !== before.documents[name]);
    assert.deepEqual(changed.map((name) => name.replace(/\d+/, "N")).sort(), ["keys-N.json", "manifest.json"]);
  });

  it("takes an older key that comes into a digest of a younger one's for its owner", () => {
    const cluster = start();
    const memo = new CompileMemo();
    const first = compile(inputOf(cluster, null), capabilitiesByType, memo);
    put(() => object("ApiKey", "a", "elder", { user: "u", writeTo: { name: "steady-4" } }, {}, 100))(cluster);
    const second = compile(inputOf(cluster, first.config), capabilitiesByType, memo);
    const reasonOf = (name: string) =>
      second.verdicts.find(({ meta }) => meta.name === name)?.accepted.map(({ reason }) => reason);
    assert.deepEqual([reasonOf("elder"), reasonOf("steady-4")], [[], ["DuplicateKey"]]);
  });
});

describe("canonical JSON", () => {
  /** By the words of the specification: JSON.stringify of the same value with its members put in sorted. */
  const sorted = (value: unknown): string =>
    JSON.stringify(value, (_key, inner: unknown) =>
      inner !== null && typeof inner === "object" && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
        : inner,
    );
  it("is JSON with members in order", () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.object({
        key: fc.oneof(fc.string(), fc.nat(30).map(String), fc.constant("__proto__")),
        values: [fc.jsonValue(), fc.constant(undefined)],
      }),
    );
    fc.assert(
      fc.property(value, (one) => assert.equal(canonicalJson(one), sorted(one))),
      { numRuns: runs(1_000) },
    );
  });
});

describe("what is remembered of lists", () => {
  const edited = fc
    .tuple(
      fc.uniqueArray(fc.nat(40), { maxLength: 30 }),
      fc.uniqueArray(fc.nat(40), { maxLength: 30 }),
      fc.nat(30),
      fc.nat(30),
    )
    .map(
      ([one, other, from, count]) =>
        [one, [...new Set([...one.slice(0, from), ...other.slice(0, 3), ...one.slice(from + count)])]] as const,
    );
  const byNumber = (a: number, b: number): number => a - b;

  it("equals what a full run builds, and nothing is built twice", () => {
    fc.assert(
      fc.property(edited, ([one, other]) => {
        const made = new MapMemo<number, string>();
        made.of(one, String);
        const fresh: number[] = [];
        const values = made.of(other, (item) => {
          fresh.push(item);
          return String(item);
        });
        assert.deepEqual(values, other.map(String));
        assert.deepEqual(fresh.sort(byNumber), other.filter((item) => !one.includes(item)).sort(byNumber));
      }),
    );
  });

  it("differs by what is gone and what has come, and is put in order with that alone", () => {
    fc.assert(
      fc.property(edited, ([one, other]) => {
        const { gone, come } = delta(one, other);
        assert.deepEqual([...gone].sort(byNumber), one.filter((item) => !other.includes(item)).sort(byNumber));
        assert.deepEqual(applyDelta(one.toSorted(byNumber), [...gone], come, byNumber), other.toSorted(byNumber));
      }),
    );
  });

  it("is not put in order where an item that is gone was never there", () => {
    assert.equal(applyDelta([1, 3], [2], [], byNumber), null);
  });
});
