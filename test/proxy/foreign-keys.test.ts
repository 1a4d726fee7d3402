/** Keys that another gateway issued go on working by their digest, with every rule that Sluice's own keys have. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { keyedDigest } from "../../proxy/config/encode.ts";
import { type ForeignKeyUse, foreignKeyLabel } from "../../proxy/config/foreign-key-use.ts";
import { KeyIndex } from "../../proxy/snapshot/keys.ts";
import { KeyPacker } from "../../proxy/snapshot/packed-keys.ts";
import { key, type Manifest, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { keyRecord } from "../harness/key-record.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const sha256 = (clear: string): string => createHash("sha256").update(clear).digest("hex");
const clearOf = (name: string): string => `sk-${name}-0123456789abcdefghij`;
const short = "sk-nineteen-letters";

const foreign = (name: string, clears: readonly string[], spec: Record<string, unknown> = {}): Manifest => ({
  kind: "ApiKey",
  metadata: { name },
  spec: { user: name, digests: clears.map((clear) => ({ algorithm: "sha256", value: sha256(clear) })), ...spec },
});

describe("keys of another gateway", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  const own = "slc_own_key_of_this_gateway";
  const both = key("both", own)[0];
  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway([
      provider("up", upstream.url),
      secret("up-credentials", { apiKey: "sk" }),
      policy("all", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      foreign("plain", [clearOf("plain"), clearOf("second")]),
      foreign("revoked", [clearOf("revoked")], { revoked: true }),
      foreign("expired", [clearOf("expired")], { expiresAt: "2020-01-01T00:00:00Z" }),
      foreign("limited", [clearOf("limited")], { models: ["gpt-4o-mini"] }),
      foreign("short", [short]),
      ...key("both", own).map((one) =>
        one.kind === "ApiKey"
          ? { ...one, spec: { ...(both?.["spec"] as object), digests: [{ value: sha256(clearOf("both")) }] } }
          : one,
      ),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  const call = async (clear: string, header = "authorization"): Promise<[number, string]> => {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", [header]: header === "authorization" ? `Bearer ${clear}` : clear },
      body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hello!" }] }),
    });
    const body = (await response.json()) as { error?: { code: string } };
    return [response.status, body.error?.code ?? ""];
  };

  for (const [what, clear, status, code] of [
    ["serves the first", clearOf("plain"), 200, ""],
    ["serves the second of one object", clearOf("second"), 200, ""],
    ["serves one next to the object's own key", clearOf("both"), 200, ""],
    ["serves the object's own key", own, 200, ""],
    ["refuses a revoked one", clearOf("revoked"), 401, "revoked_api_key"],
    ["refuses an expired one", clearOf("expired"), 401, "expired_api_key"],
    ["holds it to the object's models", clearOf("limited"), 403, "model_not_allowed"],
    ["refuses the digest itself", sha256(clearOf("plain")), 401, "invalid_api_key"],
    ["refuses one that is too short to be random", short, 401, "invalid_api_key"],
    ["refuses one that differs in a letter", `${clearOf("plain").slice(0, -1)}J`, 401, "invalid_api_key"],
  ] as const)
    it(what, async () => assert.deepEqual(await call(clear), [status, code]));

  it("serves it in each header", async () => {
    for (const header of ["x-api-key", "api-key"])
      assert.deepEqual(await call(clearOf("plain"), header), [200, ""], header);
  });

  it("reports the hour in which each was last accepted, by a label", async () => {
    await call(clearOf("second"));
    await call(clearOf("revoked"));
    const { foreignKeys } = (await gateway.status()) as { foreignKeys: ForeignKeyUse[] };
    const label = foreignKeyLabel(sha256(clearOf("second")));
    const use = foreignKeys.find((one) => one.label === label);
    assert.equal(use?.key, "default/plain");
    assert.ok(use.lastUsedMs % 3_600_000 === 0 && Date.now() - use.lastUsedMs < 2 * 3_600_000);
    assert.ok(!foreignKeys.some(({ key: id }) => id === "default/revoked"));
    assert.ok(!JSON.stringify(foreignKeys).includes(sha256(clearOf("second"))));
  });

  it("logs no key and no digest of one", async () => {
    await call(clearOf("plain"));
    assert.ok(!gateway.logText().includes(clearOf("plain")));
  });
});

it("are found among many, and cost nothing where there are none", () => {
  const pepper = new Uint8Array(32).fill(7);
  const packer = new KeyPacker();
  for (let index = 0; index < 5_000; index++)
    packer.add(keyRecord(keyedDigest(pepper, `own-${index}`), `n/own-${index}`));
  for (let index = 0; index < 5_000; index++) {
    const value = sha256(clearOf(String(index)));
    packer.add(keyRecord(value, `n/foreign-${index}`, { foreign: [value] }));
  }
  const keys = new KeyIndex([packer.kept()]);
  for (const index of [0, 17, 4_999])
    assert.equal(keys.findForeign(sha256(clearOf(String(index))))?.record.id, `n/foreign-${index}`);
  assert.equal(keys.findForeign(sha256("other")), null);
  assert.equal(new KeyIndex([new KeyPacker().kept()]).hasForeign, false);
});
