import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { pino } from "pino";
import { compile } from "../../operator/compile/compile.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { credentialName, encode, keyedDigest, sha256Hex } from "../../proxy/config/encode.ts";
import type { KeyRecord } from "../../proxy/config/key-record.ts";
import { atOnce, parseDocuments, parsing } from "../../proxy/config/parse.ts";
import { settings as settingsSchema } from "../../proxy/config/schema.ts";
import { type RunningProxy, startProxy } from "../../proxy/main.ts";
import { parseProxySettings } from "../../proxy/settings.ts";
import { build, building } from "../../proxy/snapshot/build.ts";
import { type Current, current } from "../../proxy/snapshot/current.ts";
import { KeyPacker } from "../../proxy/snapshot/packed-keys.ts";
import type { Snapshot } from "../../proxy/snapshot/snapshot.ts";
import { type ConfigSource, folderSource } from "../../proxy/snapshot/source.ts";
import { eventually } from "../harness/gateway.ts";
import { keyRecord } from "../harness/key-record.ts";
import fc from "../harness/property.ts";
import { startUpstream } from "../harness/upstream.ts";

const pepper = Buffer.alloc(32, 7);
const credential = "sk-upstream";
const clear = "slc_alice_key_0001";

type Files = Record<string, string | Uint8Array>;

/** The config that an operator would publish for one provider, one policy with `models`, and one key. */
function published(endpoint: string, models: string[]): Files {
  const meta = (name: string) => ({ name, namespace: "a", uid: name, generation: 1, createdAtMs: 1, labels: {} });
  const { config } = compile(
    {
      world: {
        objects: [
          {
            kind: "LLMProvider",
            meta: meta("p"),
            spec: {
              type: "OpenAI",
              endpoint: `${endpoint}/v1`,
              allowPrivateEndpoint: true,
              credentials: { secretRef: { name: "s" } },
              models: [{ name: "m" }],
            },
            status: {},
          },
          {
            kind: "RoutingPolicy",
            meta: meta("r"),
            spec: { match: { models }, routing: { targets: [{ provider: { name: "p" }, model: "m" }] } },
            status: {},
          },
          { kind: "ApiKey", meta: meta("k"), spec: { user: "alice", writeTo: { name: "k" } }, status: {} },
        ],
        namespaces: { a: {} },
        secrets: {
          "a/s": { apiKey: { digest: keyedDigest(pepper, credential), displayPrefix: "" } },
          "a/k": { apiKey: { digest: keyedDigest(pepper, clear), displayPrefix: "" } },
        },
      },
      settings: { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: [] },
      previous: null,
      nowMs: 1,
    },
    capabilitiesByType,
  );
  return {
    ...encode(config, sha256Hex(pepper)).documents,
    pepper,
    [credentialName(keyedDigest(pepper, credential))]: credential,
  };
}

/** A folder laid out like kubelet's volumes: files are links through `..data`, which is renamed into place. */
class Volume {
  readonly folder: string;
  #generation = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  async write(files: Files): Promise<void> {
    const generation = `..generation-${++this.#generation}`;
    await mkdir(join(this.folder, generation));
    for (const [name, content] of Object.entries(files)) await writeFile(join(this.folder, generation, name), content);
    await symlink(generation, join(this.folder, "..data_tmp"));
    await rename(join(this.folder, "..data_tmp"), join(this.folder, "..data"));
    for (const name of Object.keys(files))
      await symlink(join("..data", name), join(this.folder, name)).catch(() => undefined);
  }
}

async function start(
  context: TestContext,
  first: Files | null,
): Promise<{ volume: Volume; proxy: RunningProxy; endpoint: string }> {
  const upstream = await startUpstream();
  const volume = new Volume(await mkdtemp(join(tmpdir(), "sluice-volume-")));
  if (first !== null) await volume.write(published(upstream.url, ["one"]));
  const settings = parseProxySettings(
    ["--port", "0", "--status-port", "0", "--host", "127.0.0.1", "--status-host", "127.0.0.1", "--poll-ms", "50"],
    {},
  );
  const proxy = await startProxy({
    settings,
    source: folderSource(volume.folder, settings.pollMs),
    log: pino({ level: "silent" }),
  });
  context.after(async () => {
    await proxy.close();
    await upstream.close();
    await rm(volume.folder, { recursive: true, force: true });
  });
  return { volume, proxy, endpoint: upstream.url };
}

async function models(proxy: RunningProxy): Promise<string[]> {
  const answer = await fetch(`${proxy.trafficUrl}/v1/models`, { headers: { authorization: `Bearer ${clear}` } });
  return ((await answer.json()) as { data: { id: string }[] }).data.map((one) => one.id);
}

const status = async (proxy: RunningProxy) =>
  (await (await fetch(`${proxy.statusUrl}/status`)).json()) as {
    revision: string | null;
    rejected: { reason: string } | null;
  };

describe("a proxy on a mounted config", () => {
  it("loads a new revision when the volume is swapped", async (context) => {
    const { volume, proxy, endpoint } = await start(context, {});
    assert.deepEqual(await models(proxy), ["one"]);
    await volume.write(published(endpoint, ["one", "two"]));
    await eventually(async () => (await models(proxy)).length === 2);
  });

  it("is not ready without a config, answers 503 in the envelope, and becomes ready once there is one", async (context) => {
    const { volume, proxy, endpoint } = await start(context, null);
    assert.equal((await fetch(`${proxy.statusUrl}/readyz`)).status, 503);
    assert.equal((await fetch(`${proxy.statusUrl}/livez`)).status, 200);
    const answer = await fetch(`${proxy.trafficUrl}/v1/models`);
    assert.deepEqual(
      [answer.status, ((await answer.json()) as { error: { code: string } }).error.code],
      [503, "not_ready"],
    );
    await volume.write(published(endpoint, ["one"]));
    await eventually(async () => (await fetch(`${proxy.statusUrl}/readyz`)).status === 200);
  });

  const drop =
    (prefix: string) =>
    (files: Files): Files =>
      Object.fromEntries(Object.entries(files).filter(([name]) => !name.startsWith(prefix)));
  const edit =
    (prefix: string, change: (text: string) => string) =>
    (files: Files): Files =>
      Object.fromEntries(
        Object.entries(files).map(([name, content]) => [
          name,
          name.startsWith(prefix) ? change(String(content)) : content,
        ]),
      );
  const rows: { name: string; spoil: (files: Files) => Files; reason: RegExp }[] = [
    { name: "a shard is missing", spoil: drop("routes-"), reason: /routes-\d\.json is missing/ },
    {
      name: "a shard is of another revision",
      spoil: edit("routes-", (text) => text.replace('"two"', '"three"')),
      reason: /is not the one that revision \w+ names/,
    },
    { name: "a credential is missing", spoil: drop("cred-"), reason: /cred-\w+ is missing/ },
    {
      name: "a credential is not what its name says",
      spoil: edit("cred-", () => "sk-other"),
      reason: /does not hold what its name says/,
    },
    {
      name: "the pepper is another",
      spoil: (files) => ({ ...files, pepper: Buffer.alloc(32, 8) }),
      reason: /pepper is not the one/,
    },
    {
      name: "the manifest is half written",
      spoil: edit("manifest.json", (text) => text.slice(0, 40)),
      reason: /manifest\.json is not JSON/,
    },
    {
      name: "the manifest is from the future",
      spoil: edit("manifest.json", (text) => text.replace('"schemaVersion":1', '"schemaVersion":9')),
      reason: /schema version 9; this proxy reads 1/,
    },
  ];
  for (const { name, spoil, reason } of rows) {
    it(`keeps the last good config when ${name}, reports and counts the reason, and loads the next good one`, async (context) => {
      const { volume, proxy, endpoint } = await start(context, {});
      const before = (await status(proxy)).revision;
      const next = published(endpoint, ["one", "two"]);
      await volume.write(spoil(next));
      const rejected = await eventually(async () => (await status(proxy)).rejected);
      assert.match(rejected.reason, reason);
      assert.doesNotMatch(rejected.reason, /sk-/);
      assert.deepEqual([(await status(proxy)).revision, await models(proxy)], [before, ["one"]]);
      assert.match(await (await fetch(`${proxy.statusUrl}/metrics`)).text(), /ai_gateway_config_rejected_total [1-9]/);
      await volume.write(next);
      await eventually(async () => (await models(proxy)).length === 2);
      assert.equal((await status(proxy)).rejected, null);
    });
  }
});

/** Contents that are delivered one after another, each identified by its number. */
class Given implements ConfigSource {
  files: Files;
  read?: (name: string) => Promise<Uint8Array | null>;
  number = 1;
  reads = 0;
  /** Called whenever the proxy asks for the current content. */
  asked: () => void = () => undefined;

  constructor(files: Files) {
    this.files = files;
  }

  give(files: Files): void {
    this.files = files;
    this.number++;
  }

  async current(): Promise<Files> {
    this.reads++;
    return this.files;
  }

  async version(): Promise<string> {
    this.asked();
    return String(this.number);
  }

  watch(): () => void {
    return () => undefined;
  }
}

/** A config with enough keys that the proxy must yield while loading. */
function large(round: number, keys = 20_000): { files: Files; revision: string } {
  const record = (at: number): KeyRecord => ({
    digest: sha256Hex(`${at}`),
    id: `a/key-${at}`,
    user: `user-${at}`,
    team: "t",
    role: "developer",
    tags: [],
    models: null,
    expiresAtMs: null,
    revoked: false,
  });
  const all = Array.from({ length: keys }, (_, at) => ({ ...record(at), tags: [`round-${round}`] }));
  const config = {
    settings: settingsSchema.parse({ maxBodyBytes: 1_000 }),
    providers: [],
    routes: [],
    budgets: [],
    keys: all,
  };
  const { documents, manifest } = encode(config, sha256Hex(pepper));
  return { files: { ...documents, pepper }, revision: manifest.revision };
}

function cellOf(source: ConfigSource): { cell: Current; swapped: string[]; rejected: string[] } {
  const [swapped, rejected]: string[][] = [[], []];
  const events = {
    swapped: (one: Snapshot) => void swapped?.push(one.revision),
    rejected: (reason: string) => void rejected?.push(reason),
    revoked: () => undefined,
  };
  return { cell: current(source, {}, Date.now, events), swapped: swapped ?? [], rejected: rejected ?? [] };
}

describe("a large config", () => {
  it("is loaded while everything else continues, and goes live as a whole or not at all", async () => {
    const first = large(1, 10);
    const second = large(2);
    const source = new Given(first.files);
    const { cell, swapped } = cellOf(source);
    await cell.refresh();
    source.give(second.files);
    let turns = 0;
    const seen = new Set<string | undefined>();
    const refreshed = cell.refresh();
    const look = (): void => {
      turns++;
      seen.add(`${cell.snapshot()?.revision} ${cell.snapshot()?.keyCount}`);
      if (swapped.length < 2) setImmediate(look);
    };
    look();
    await refreshed;
    assert.ok(turns > 5, `${turns} turns`);
    assert.deepEqual([...seen], [`${first.revision} 10`, `${second.revision} 20000`].slice(0, seen.size));
    assert.equal(cell.snapshot()?.revision, second.revision);
  });

  it("is dropped halfway for a newer config, which goes live instead", async () => {
    const [first, second, third] = [large(1, 10), large(2), large(3, 20)];
    const source = new Given(first.files);
    const { cell, swapped } = cellOf(source);
    await cell.refresh();
    source.give(second.files);
    const refreshed = cell.refresh();
    setImmediate(() => {
      source.give(third.files);
      void cell.refresh();
    });
    await refreshed;
    assert.deepEqual(swapped, [first.revision, third.revision]);
  });

  it("goes live even if newer configs arrive faster than it can be loaded", async () => {
    const source = new Given(large(1, 10).files);
    const { cell, swapped } = cellOf(source);
    await cell.refresh();
    source.give(large(2).files);
    let given = 0;
    source.asked = () => {
      if (given++ > 40) return;
      source.number++;
      void cell.refresh();
    };
    await cell.refresh();
    assert.equal(swapped.length, 2);
    assert.equal(cell.snapshot()?.keyCount, 20_000);
  });

  it("is not read again while it is unchanged, unless it was refused", async () => {
    const good = large(1, 10);
    const source = new Given(good.files);
    const { cell, rejected } = cellOf(source);
    await cell.refresh();
    await cell.refresh();
    assert.equal(source.reads, 1);
    source.give(
      Object.fromEntries(
        Object.entries(large(2, 10).files).filter(([name]) => name !== "keys-00.json" && name !== "config.json"),
      ),
    );
    await cell.refresh();
    await cell.refresh();
    assert.deepEqual(
      [source.reads, rejected.length, cell.rejection()?.reason, cell.snapshot()?.revision],
      [3, 1, "config.json is missing", good.revision],
    );
  });

  it("is no longer reported as refused once the live content is back", async () => {
    const source = new Given(large(1, 10).files);
    const { cell } = cellOf(source);
    await cell.refresh();
    source.number = 2;
    source.current = () => Promise.reject(new Error("the disk is gone"));
    await cell.refresh();
    assert.equal(cell.rejection()?.reason, "the disk is gone");
    source.number = 1;
    await cell.refresh();
    assert.deepEqual([cell.rejection(), cell.snapshot()?.keyCount], [null, 10]);
  });

  it("names the invalid entry", () => {
    const { files } = large(1, 3_000);
    const name = Object.keys(files).find((one) => one.startsWith("keys-")) ?? "";
    const spoiled = String(files[name]).replace(/"revoked":false(?!.*"revoked":false)/, '"revoked":"no"');
    const manifest = JSON.parse(String(files["manifest.json"])) as { documents: Record<string, string> };
    manifest.documents[name] = sha256Hex(spoiled);
    const parsed = parseDocuments({ ...files, [name]: spoiled, "manifest.json": JSON.stringify(manifest) });
    assert.ok(!parsed.ok);
    assert.match(parsed.reason, new RegExp(`^${name}: keys\\.\\d+\\.revoked: `));
  });
});

describe("revocations besides the config", () => {
  const owner = "a/key-0";
  const digest = sha256Hex("0");
  const document = (digests: string[]): string =>
    JSON.stringify({ schemaVersion: 1, id: digests.length === 0 ? "" : `of-${digests.length}`, digests });
  const given = (digests: string[], round = 1, keys = 10): { source: Given; next(digests: string[]): void } => {
    const source = new Given(large(round, keys).files);
    let mounted = digests;
    source.read = async () => Buffer.from(document(mounted));
    const next = (digests: string[]): void => {
      mounted = digests;
      source.number++;
    };
    return { source, next };
  };
  const isRevoked = (cell: Current): boolean | undefined => cell.snapshot()?.keysOf(owner)[0]?.revoked;

  it("apply from the first config on, and others while a large one is being prepared", async () => {
    const { source, next } = given([]);
    const { cell } = cellOf(source);
    await cell.refresh();
    assert.equal(isRevoked(cell), false);
    source.give(large(2).files);
    const refreshed = cell.refresh();
    await new Promise((resolve) => setImmediate(resolve));
    next([digest]);
    void cell.refresh();
    await eventually(async () => isRevoked(cell) === true && cell.snapshot()?.keyCount === 10);
    await refreshed;
    assert.deepEqual([isRevoked(cell), cell.snapshot()?.keyCount], [true, 20_000]);
  });

  it("end with a config that was read after them, and not before one is live", async () => {
    const { source, next } = given([digest]);
    const { cell, rejected } = cellOf(source);
    await cell.refresh();
    assert.equal(isRevoked(cell), true);
    const good = source.files;
    next([]);
    source.give({ "manifest.json": "{" });
    await cell.refresh();
    assert.deepEqual([isRevoked(cell), rejected.length], [true, 1]);
    source.give(good);
    await cell.refresh();
    assert.equal(isRevoked(cell), false);
  });

  it("sent by the operator apply at once, outlast older content of the volume, and end when it takes them back", async () => {
    const { source, next } = given([]);
    const { cell } = cellOf(source);
    await cell.refresh();
    assert.equal(cell.revoke(document([digest])), null);
    assert.deepEqual([isRevoked(cell), cell.revocations()], [true, "of-1"]);
    source.give(large(2, 10).files);
    await cell.refresh();
    assert.deepEqual([isRevoked(cell), cell.revocations()], [true, "of-1"]);
    next([digest]);
    await cell.refresh();
    next([]);
    await cell.refresh();
    assert.deepEqual([isRevoked(cell), cell.revocations()], [false, ""]);
    cell.revoke(document([digest]));
    cell.revoke(document([]));
    assert.equal(isRevoked(cell), false);
  });

  const standby = (sender: string, digests: string[]): string => JSON.stringify({ schemaVersion: 1, sender, digests });

  it("sent by an operator that stands by add to the leader's, and each sender takes back only its own", async () => {
    const { source } = given([]);
    const { cell } = cellOf(source);
    await cell.refresh();
    assert.equal(cell.revokeForStandby(standby("one", [digest])), null);
    cell.revokeForStandby(standby("two", [digest]));
    cell.revoke(document([]));
    // Leaders look for their own message.
    assert.deepEqual([isRevoked(cell), cell.revocations()], [true, ""]);
    cell.revokeForStandby(standby("one", []));
    assert.equal(isRevoked(cell), true);
    cell.revokeForStandby(standby("two", []));
    assert.equal(isRevoked(cell), false);
    for (const text of ["[]", document([digest]), standby("", [digest])])
      assert.equal(cell.revokeForStandby(text), "revocations.json does not fit the schema");
  });

  it("sent by an operator that stands by end with a config that was read after them, and with no earlier one", async () => {
    const { source } = given([]);
    const { cell } = cellOf(source);
    await cell.refresh();
    const files = large(2, 10).files;
    source.give(files);
    const current = source.current.bind(source);
    source.current = () => {
      cell.revokeForStandby(standby("one", [digest]));
      source.current = current;
      return current();
    };
    await cell.refresh();
    assert.deepEqual([isRevoked(cell), cell.snapshot()?.revision], [true, large(2, 10).revision]);
    source.give(large(3, 10).files);
    await cell.refresh();
    assert.equal(isRevoked(cell), false);
  });

  it("that can't be read leave those in use that were read before, and are reported", async () => {
    const { source, next } = given([digest]);
    const { cell, rejected } = cellOf(source);
    await cell.refresh();
    source.read = async () => Buffer.from("{}");
    next([]);
    await cell.refresh();
    assert.deepEqual([isRevoked(cell), rejected], [true, ["revocations.json does not fit the schema"]]);
    assert.equal(cell.revoke("[]"), "revocations.json does not fit the schema");
    assert.equal(isRevoked(cell), true);
  });
});

describe("keys of a snapshot", () => {
  const clearOf = (at: number): string => `slc_key_${at}`;
  const record = (at: number, more: Partial<KeyRecord> = {}): KeyRecord =>
    keyRecord(keyedDigest(pepper, clearOf(at)), `a/key-${at % 50}`, more);
  const keys = Array.from({ length: 200 }, (_, at) =>
    record(at, at % 10 === 0 ? { previous: { digest: keyedDigest(pepper, clearOf(at + 1_000)), untilMs: at } } : {}),
  );
  const config = {
    settings: settingsSchema.parse({ maxBodyBytes: 1_000 }),
    providers: [],
    routes: [],
    budgets: [],
    keys,
  };
  const { manifest, documents } = encode(config, sha256Hex(pepper));
  const secrets = { pepper, credentials: new Map<string, string>() };
  const parsed = atOnce(parsing(documents, new Map(), () => new KeyPacker()));
  assert.ok(parsed.ok);
  const snapshots = {
    "as they are spread over documents": atOnce(building(parsed.config, parsed.keys, manifest, secrets, {})),
    "in one list": build(config, manifest, secrets, {}),
  };
  for (const [name, snapshot] of Object.entries(snapshots)) {
    it(`are found ${name}, by their digest, by the previous key and by their ApiKey`, () => {
      for (const [index, key] of keys.entries()) {
        assert.deepEqual(snapshot.findKey(clearOf(index)), { record: key, untilMs: null });
        assert.deepEqual(
          snapshot.findKey(clearOf(index + 1_000)),
          key.previous ? { record: key, untilMs: index } : null,
        );
      }
      assert.equal(snapshot.findKey("slc_unknown"), null);
      assert.equal(snapshot.keyCount, 200);
      assert.deepEqual(
        snapshot
          .keysOf("a/key-7")
          .map(({ digest }) => digest)
          .sort(),
        [7, 57, 107, 157].map((at) => keys[at]?.digest).sort(),
      );
      assert.deepEqual(snapshot.keysOf("a/none"), []);
    });
  }

  it("are decoded from bytes as they were encoded, whatever they contain", () => {
    const hex = fc
      .array(fc.constantFrom(..."0123456789abcdef"), { minLength: 64, maxLength: 64 })
      .map((digits) => digits.join(""));
    const anyRecord: fc.Arbitrary<KeyRecord> = fc.record(
      {
        digest: hex,
        id: fc.string({ unit: "binary", maxLength: 20 }),
        user: fc.string({ unit: "grapheme", maxLength: 40 }),
        team: fc.option(fc.string({ unit: "grapheme" })),
        role: fc.string(),
        tags: fc.array(fc.string()),
        models: fc.option(fc.array(fc.string())),
        expiresAtMs: fc.option(fc.nat()),
        revoked: fc.boolean(),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.uniqueArray(anyRecord, { selector: ({ digest }) => digest, maxLength: 40 }), (records) => {
        const packer = new KeyPacker();
        for (const record of records) packer.add(record);
        const packed = packer.kept();
        for (const record of records) {
          assert.deepEqual(packed.find(record.digest), record);
          assert.deepEqual(
            packed.of(record.id),
            records.filter(({ id }) => id === record.id),
          );
          assert.equal(packed.findBefore(record.digest), null);
        }
        assert.equal(packed.size, records.length);
        assert.equal(packed.find("0".repeat(63)), null);
      }),
    );
  });
});
