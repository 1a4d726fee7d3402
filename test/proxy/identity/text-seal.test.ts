/** Sealed texts: what opens for whom, after a change of the pepper too. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import type { Owner } from "../../../proxy/identity/id-seal.ts";
import { TextSeal } from "../../../proxy/identity/text-seal.ts";
import fc from "../../harness/property.ts";

const seal = new TextSeal(Buffer.from("pepper"));
const owner = (namespace: string, user: string): Owner => ({ namespace, user, seesNamespace: false });
const alice = owner("a", "alice");

describe("a sealed text", () => {
  it("opens for its owner and nobody else, whatever the text and the names", () => {
    const name = fc.string({ maxLength: 20, unit: "grapheme" });
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), name, name, name, name, (text, namespace, user, other, another) => {
        const sealed = seal.seal(owner(namespace, user), text);
        assert.equal(seal.open(owner(namespace, user), sealed), text);
        const isOwner = namespace === other && user === another;
        assert.equal(seal.open(owner(other, another), sealed) !== null, isOwner);
      }),
    );
  });

  it("does not open once it is changed or cut", () => {
    const sealed = Buffer.from(seal.seal(alice, "a summary"), "base64url");
    for (let index = 0; index < sealed.length; index++) {
      const changed = Buffer.from(sealed);
      changed[index] = (changed[index] ?? 0) ^ 1;
      assert.equal(seal.open(alice, changed.toString("base64url")), null, `byte ${index}`);
      assert.equal(seal.open(alice, sealed.subarray(0, index).toString("base64url")), null, `${index} bytes`);
    }
  });

  it("opens after a change of the pepper where the one before is known, and not with another", () => {
    const sealed = seal.seal(alice, "a summary");
    assert.equal(new TextSeal(Buffer.from("new"), [Buffer.from("pepper")]).open(alice, sealed), "a summary");
    assert.equal(new TextSeal(Buffer.from("new")).open(alice, sealed), null);
  });
});
