/** The key that a connection presented last: it saves a digest, and decides nothing. */
import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import { encode, KeyedDigester, keyedDigest, sha256Hex } from "../../proxy/config/encode.ts";
import { settings } from "../../proxy/config/schema.ts";
import { build } from "../../proxy/snapshot/build.ts";
import type { IndexedSnapshot } from "../../proxy/snapshot/indexed-snapshot.ts";
import { LastKey } from "../../proxy/snapshot/last-key.ts";
import { keyRecord } from "../harness/key-record.ts";
import fc, { runs } from "../harness/property.ts";

const clears = ["slc_alice_00000000001", "slc_alice_00000000002", "slc_alice_0000000000", "slc_bob", "ключ", "𝄞"];

function snapshotOf(pepperByte: number): IndexedSnapshot {
  const pepper = new Uint8Array(32).fill(pepperByte);
  const keys = clears.slice(0, 4).map((clear) => keyRecord(keyedDigest(pepper, clear), `a/${clear}`));
  const config = {
    settings: settings.parse({ maxBodyBytes: 1_000 }),
    ...{ providers: [], routes: [], budgets: [], keys },
  };
  const { manifest } = encode(config, sha256Hex(pepper));
  return build(config, manifest, { pepper, credentials: new Map() }, {}) as IndexedSnapshot;
}

describe("the last key of a connection", () => {
  const first = snapshotOf(1);
  const revoked = first.revoking(new Set([first.digest("slc_bob")]));
  const snapshots = { first, revoked, "another pepper": snapshotOf(2) };

  it("finds what is found without it, in any order of keys and snapshots", () => {
    const asked = fc.record({
      clear: fc.oneof(fc.constantFrom(...clears), fc.string({ minLength: 1, maxLength: 30 })),
      snapshot: fc.constantFrom(...Object.values(snapshots)),
    });
    fc.assert(
      fc.property(fc.array(asked, { minLength: 2, maxLength: 12 }), (calls) => {
        const last = new LastKey();
        for (const { clear, snapshot } of calls)
          assert.deepEqual(snapshot.findKey(clear, last), snapshot.findKey(clear));
      }),
      { numRuns: runs(300) },
    );
  });

  it("refuses a key that was revoked since", () => {
    const last = new LastKey();
    assert.equal(first.findKey("slc_bob", last)?.record.revoked, false);
    assert.equal(revoked.findKey("slc_bob", last)?.record.revoked, true);
  });

  it("digests a key that comes again only once", () => {
    const digester = new KeyedDigester(new Uint8Array(32).fill(1));
    const digest = mock.method(digester, "digest");
    const last = new LastKey();
    for (const clear of ["a", "a", "a", "b", "b", "a"]) last.digestOf(clear, digester);
    assert.deepEqual(
      digest.mock.calls.map((call) => call.arguments[0]),
      ["a", "b", "a"],
    );
  });
});
