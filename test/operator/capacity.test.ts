import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CapacityRequest, fairShare, placeAll } from "../../operator/compile/capacity.ts";
import { credentialsSecretsOf } from "../../operator/publish/layout.ts";
import { encode } from "../../proxy/config/encode.ts";
import { parseDocuments } from "../../proxy/config/parse.ts";
import { type RenderedConfig, settings as settingsSchema, unshardedBytes } from "../../proxy/config/schema.ts";
import fc from "../harness/property.ts";

const bound = 1_000;
const boundOf = (): number => bound;
const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

const request = (
  id: string,
  bytes: number | null,
  published: number | null = null,
  createdAtMs = 1,
): CapacityRequest => ({
  id,
  createdAtMs,
  wanted: bytes === null ? null : new Map([["shard", bytes]]),
  published: published === null ? null : new Map([["shard", published]]),
});

describe("the share of a namespace", () => {
  const rows: [uses: number[], share: number][] = [
    [[10, 20, 30], bound],
    [[2_000], 1_000],
    [[2_000, 2_000], 500],
    [[100, 2_000], 900],
    [[100, 200, 2_000, 3_000], 350],
  ];
  for (const [uses, share] of rows)
    it(`${uses.join(", ")}: ${share}`, () => assert.equal(fairShare(uses, bound), share));

  it("all fit, and nobody who needs no more than an even split gets less", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2_000), { minLength: 1, maxLength: 12 }), (uses) => {
        const share = fairShare(uses, bound);
        assert.ok(sum(uses.map((bytes) => Math.min(bytes, share))) <= bound);
        assert.ok(share >= Math.floor(bound / uses.length));
      }),
    );
  });
});

describe("what is published when not everything fits", () => {
  it("everything, where it fits", () => {
    assert.equal(placeAll([request("a/x", 400), request("b/y", 600)], boundOf), null);
  });

  it("a small namespace's objects, whatever a large one does", () => {
    const crowd = Array.from({ length: 20 }, (_, at) => request(`b/crowd-${at}`, 150, null, 1));
    const placements = placeAll([...crowd, request("a/late", 300, null, 99)], boundOf);
    assert.equal(placements?.get("a/late")?.form, "wanted");
    assert.equal(crowd.filter(({ id }) => placements?.get(id)?.form === "wanted").length, 4);
    const refused = crowd.map(({ id }) => placements?.get(id)).find((one) => one?.form === "none");
    assert.deepEqual(refused?.overflow, { shard: "shard", bytes: 150, shareBytes: 700 });
  });

  it("the object that grows is refused and keeps its published form; the younger ones stay", () => {
    const placements = placeAll(
      [request("b/grows", 700, 300, 1), request("b/young", 300, 300, 2), request("a/one", 400, 400, 3)],
      boundOf,
    );
    assert.deepEqual([...(placements ?? [])].map(([id, { form }]) => `${id} ${form}`).sort(), [
      "a/one wanted",
      "b/grows published",
      "b/young wanted",
    ]);
  });

  it("never more than fits, and never less of a namespace than its share allows for unchanged objects", () => {
    const anyRequest = fc
      .tuple(fc.constantFrom("a", "b", "c"), fc.nat(40), fc.nat(700), fc.option(fc.nat(700)), fc.nat(5))
      .map(([namespace, name, bytes, published, age]) => request(`${namespace}/${name}`, bytes, published, age));
    const requests = fc.uniqueArray(anyRequest, { selector: ({ id }) => id, maxLength: 15 });
    fc.assert(
      fc.property(requests, (all) => {
        const placements = placeAll(all, boundOf);
        if (placements === null) return;
        const used = sum(
          all.map(({ id, wanted, published }) => {
            const { form } = placements.get(id) ?? { form: "none" };
            return (form === "wanted" ? wanted?.get("shard") : form === "published" ? published?.get("shard") : 0) ?? 0;
          }),
        );
        assert.ok(used <= bound, `${used}`);
        for (const { form, overflow } of placements.values()) assert.equal(form === "wanted", overflow === null);
      }),
    );
  });
});

describe("what is published in shards", () => {
  const config = (count: number): RenderedConfig =>
    ({
      settings: settingsSchema.parse({ maxBodyBytes: 1_000 }),
      providers: Array.from({ length: count }, (_, at) => ({
        id: `a/p-${String(at).padStart(3, "0")}`,
        type: "OpenAI",
        endpoint: "https://llm.example.com",
        allowPrivateEndpoint: false,
        tls: null,
        credentials: {},
        options: { note: "x".repeat(10_000) },
        unsupportedParameters: "Drop",
        region: null,
        models: {},
        timeouts: { connectMs: 1, writeMs: 1, responseMs: 1, firstTokenMs: 1, idleMs: 1, totalMs: 1 },
      })),
      routes: [],
      budgets: [],
      keys: [],
    }) as unknown as RenderedConfig;

  it("is version 1 and one document as long as that fits, else version 2 and shards", () => {
    const small = encode(config(10), "");
    assert.deepEqual(Object.keys(small.manifest.documents), ["config.json"]);
    assert.equal(small.manifest.schemaVersion, 1);
    const large = encode(config(Math.ceil(unshardedBytes / 10_000) + 1), "");
    assert.equal(large.manifest.schemaVersion, 2);
    assert.ok(Object.keys(large.manifest.documents).some((name) => /^providers-\d\.json$/.test(name)));
    const parsed = parseDocuments(large.documents);
    if (parsed.ok) assert.equal(parsed.config.providers.length, config(41).providers.length);
    else assert.match(parsed.reason, /providers-\d\.json: providers/);
  });

  it("one Secret holds the credentials as long as it can", () => {
    const values = (count: number): Record<string, string> =>
      Object.fromEntries([
        ["pepper", "AAAA"],
        ...Array.from({ length: count }, (_, at) => [
          `cred-${String(at).padStart(4, "0")}`,
          Buffer.alloc(16_000).toString("base64"),
        ]),
      ]) as Record<string, string>;
    assert.deepEqual([...credentialsSecretsOf("s", values(10)).keys()], ["s-credentials"]);
    const spread = credentialsSecretsOf("s", values(200));
    assert.deepEqual(spread.get("s-credentials"), { pepper: "AAAA" });
    assert.equal(sum([...spread.values()].map((data) => Object.keys(data).length)), 201);
  });
});
