import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { dueRotations } from "../../operator/cluster/rotation.ts";
import { compile } from "../../operator/compile/compile.ts";
import type { WorldObject } from "../../operator/compile/world.ts";
import { secretFact } from "../../operator/secrets.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { encode, keyedDigest, sha256Hex } from "../../proxy/config/encode.ts";
import { mintKey } from "../../proxy/config/key-form.ts";
import { authenticate } from "../../proxy/pipeline/authenticate.ts";
import { build } from "../../proxy/snapshot/build.ts";

const day = 86_400_000;
const created = Date.UTC(2026, 0, 1);
const pepper = new Uint8Array(32).fill(3);

const apiKey = (spec: Record<string, unknown>): WorldObject => ({
  kind: "ApiKey",
  meta: { name: "alice", namespace: "a", uid: "u", generation: 1, createdAtMs: created, labels: {} },
  spec: { user: "alice", writeTo: { name: "s" }, ...spec },
  status: {},
});
const iso = (ms: number): string => new Date(ms).toISOString();

describe("when a key is rotated", () => {
  const rows: [string, Record<string, unknown>, Record<string, string>, number, string | null][] = [
    ["not before its period is over", { rotation: { every: "30d" } }, { apiKey: "k" }, created + 30 * day - 1, null],
    ["when its period is over", { rotation: { every: "30d" } }, { apiKey: "k" }, created + 30 * day, "rotate"],
    [
      "counting from the last time",
      { rotation: { every: "30d" } },
      { apiKey: "k", "apiKey-rotated-at": iso(created + 20 * day) },
      created + 40 * day,
      null,
    ],
    ["when somebody asks", { rotation: { requestedAt: iso(created + day) } }, { apiKey: "k" }, created + day, "rotate"],
    [
      "not before the moment that was asked for",
      { rotation: { requestedAt: iso(created + 2 * day) } },
      { apiKey: "k" },
      created + day,
      null,
    ],
    [
      "once for one request",
      { rotation: { requestedAt: iso(created + day) } },
      { apiKey: "k", "apiKey-rotated-at": iso(created + day + 5) },
      created + 9 * day,
      null,
    ],
    ["not when it is revoked", { revoked: true, rotation: { every: "1d" } }, { apiKey: "k" }, created + 9 * day, null],
    ["not without rotation", {}, { apiKey: "k" }, created + 900 * day, null],
    ["not before there is one", { rotation: { every: "1d" } }, {}, created + 9 * day, null],
    [
      "and the one before is kept within its grace",
      { rotation: { every: "30d", grace: "7d" } },
      { apiKey: "k", "apiKey-previous": "o", "apiKey-rotated-at": iso(created + 30 * day) },
      created + 37 * day - 1,
      null,
    ],
    [
      "and the one before is forgotten after it",
      { rotation: { every: "30d", grace: "7d" } },
      { apiKey: "k", "apiKey-previous": "o", "apiKey-rotated-at": iso(created + 30 * day) },
      created + 37 * day,
      "forget",
    ],
  ];
  for (const [name, spec, values, nowMs, action] of rows) {
    it(name, () =>
      assert.equal(dueRotations([apiKey(spec)], new Map([["a/s", values]]), nowMs)[0]?.action ?? null, action),
    );
  }
});

describe("a rotated key", () => {
  /** A snapshot as proxies have it, compiled at a moment. */
  const at = (
    values: Record<string, string>,
    nowMs: number,
    spec: Record<string, unknown> = { rotation: { every: "1d", grace: "7d" } },
  ) => {
    const secrets = {
      "a/s": Object.fromEntries(Object.entries(values).map(([key, value]) => [key, secretFact(pepper, value)])),
    };
    const { config, verdicts } = compile(
      {
        world: { objects: [apiKey(spec)], namespaces: {}, secrets },
        settings: { proxy: { maxBodyBytes: 1024 }, sharingNamespaces: [] },
        previous: null,
        nowMs,
      },
      capabilitiesByType,
    );
    const { manifest } = encode(config, sha256Hex(pepper));
    return {
      config,
      verdict: verdicts[0],
      snapshot: build(
        { ...config, settings: { ...config.settings } } as never,
        manifest,
        { pepper, credentials: new Map() },
        {},
      ),
    };
  };

  it("is refused none within the grace, over ten rotations, and the old ones after it", () => {
    const keys = Array.from({ length: 11 }, (_, index) => mintKey(new Uint8Array(32).fill(index + 1)));
    const grace = 7 * day;
    for (let turn = 1; turn <= 10; turn++) {
      const rotatedMs = created + turn * 10 * day;
      const values = {
        apiKey: keys[turn] ?? "",
        "apiKey-previous": keys[turn - 1] ?? "",
        "apiKey-rotated-at": iso(rotatedMs),
      };
      const { snapshot } = at(values, rotatedMs);
      const code = (key: string | undefined, nowMs: number): string | null => {
        const identity = authenticate({ headers: { authorization: `Bearer ${key}` } }, snapshot, nowMs);
        return identity.anonymous ? identity.failure.code : null;
      };
      for (const nowMs of [rotatedMs, rotatedMs + grace - 1])
        assert.deepEqual([code(keys[turn], nowMs), code(keys[turn - 1], nowMs)], [null, null]);
      // The end of the grace is in the record: it needs no new config.
      assert.deepEqual(
        [code(keys[turn], rotatedMs + grace), code(keys[turn - 1], rotatedMs + grace)],
        [null, "expired_api_key"],
      );
      if (turn > 1) assert.equal(code(keys[turn - 2], rotatedMs), "invalid_api_key");
    }
  });

  it("acts for the same caller, and dies with it", () => {
    const values = { apiKey: "new-key-0001", "apiKey-previous": "old-key-0001", "apiKey-rotated-at": iso(created) };
    const { snapshot } = at(values, created + 1, { rotation: { every: "1d", grace: "7d" }, revoked: true });
    const identity = authenticate({ headers: { authorization: "Bearer old-key-0001" } }, snapshot, created + 1);
    assert.ok(identity.anonymous && identity.failure.code === "revoked_api_key");
  });

  it("shows in status when it was and when it will be, and never the key", () => {
    const values = {
      apiKey: "new-key-0001",
      "apiKey-previous": "old-key-0001",
      "apiKey-rotated-at": iso(created + day),
    };
    const { verdict, config } = at(values, created + 2 * day, { rotation: { every: "30d", grace: "7d" } });
    assert.deepEqual(verdict?.status, {
      rotatedAt: "2026-01-02T00:00:00Z",
      nextRotationAt: "2026-02-01T00:00:00Z",
      previousExpiresAt: "2026-01-09T00:00:00Z",
    });
    assert.deepEqual(
      verdict?.conditions.map(({ type, reason }) => [type, reason]),
      [["Rotated", "InGrace"]],
    );
    assert.deepEqual(config.keys[0]?.previous, {
      digest: keyedDigest(pepper, "old-key-0001"),
      untilMs: created + 8 * day,
    });
    assert.doesNotMatch(JSON.stringify([verdict, config]), /new-key|old-key/);
  });

  it("is out of the config once its grace is over", () => {
    const values = { apiKey: "new-key-0001", "apiKey-previous": "old-key-0001", "apiKey-rotated-at": iso(created) };
    assert.equal(at(values, created + 7 * day).config.keys[0]?.previous, undefined);
  });
});
