import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { Sealer } from "../../proxy/seal/seal.ts";
import fc from "../harness/property.ts";

const key = (): string => randomBytes(32).toString("base64");

describe("sealing", () => {
  const [old, fresh] = [key(), key()];
  const sealer = new Sealer(fresh);

  it("opens what it sealed, only in its own place", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), fc.string(), fc.string(), (clear, place, elsewhere) => {
        const sealed = sealer.seal(place, clear);
        assert.deepEqual(sealer.open(place, sealed), Buffer.from(clear));
        if (elsewhere !== place) assert.equal(sealer.open(elsewhere, sealed), null);
      }),
    );
  });

  it("opens nothing that was changed or truncated", () => {
    const sealed = sealer.seal("place", Buffer.from("an answer"));
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      assert.equal(sealer.open("place", changed), null, `byte ${at}`);
      assert.equal(sealer.open("place", sealed.subarray(0, at)), null, `${at} bytes`);
    }
  });

  it("seals with the first key, opens with all current keys, and not with removed keys", () => {
    const before = new Sealer(old).seal("p", Buffer.from("x"));
    const rotated = new Sealer(`${fresh}\n${old}\n`);
    assert.equal(rotated.open("p", before)?.toString(), "x");
    assert.equal(sealer.open("p", rotated.seal("p", Buffer.from("y")))?.toString(), "y");
    assert.equal(sealer.open("p", before), null);
  });

  it("reveals neither a text nor whether two texts are equal", () => {
    const [one, two] = [sealer.seal("p", Buffer.from("secret")), sealer.seal("p", Buffer.from("secret"))];
    assert.equal(one.includes("secret"), false);
    assert.notDeepEqual(one, two);
  });

  for (const [name, keys] of [
    ["none", " \n"],
    ["one that is too short", "c2hvcnQ="],
    ["one that is no base64, the second", `${key()},${"!".repeat(44)}`],
  ] as const)
    it(`refuses keys: ${name}, without showing them`, () => {
      assert.throws(
        () => new Sealer(keys),
        (cause: Error) =>
          /openssl rand -base64 32/.test(cause.message) &&
          !cause.message.includes("c2hvcnQ=") &&
          !cause.message.includes("!!"),
      );
    });
});
