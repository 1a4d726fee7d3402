/** Sealed ids: what opens for whom, after a change of the pepper too. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { IdSeal, maxSealedIdLength, type Owner } from "../../../proxy/identity/id-seal.ts";
import fc from "../../harness/property.ts";

const providers = ["a/one", "a/two"];
const seal = new IdSeal(Buffer.from("pepper"), providers);
const owner = (namespace: string, user: string, seesNamespace = false): Owner => ({ namespace, user, seesNamespace });
const alice = owner("a", "alice");

describe("a sealed id", () => {
  it("opens for its owner and nobody else, whatever the id and the names", () => {
    const name = fc.string({ maxLength: 40 });
    const id = fc.string({ minLength: 1, maxLength: 100 });
    fc.assert(
      fc.property(id, name, name, name, name, (given, namespace, user, otherNamespace, otherUser) => {
        const sealed = seal.seal(owner(namespace, user), "a/two", given);
        const opened = seal.open(owner(namespace, user), sealed);
        const isOwner = namespace === otherNamespace && user === otherUser;
        assert.equal(seal.open(owner(otherNamespace, otherUser), sealed) !== null, isOwner);
        assert.equal(seal.open(owner(otherNamespace, "boss", true), sealed) !== null, namespace === otherNamespace);
        assert.match(sealed, /^[A-Za-z0-9_-]+$/);
        // A lone surrogate has no form in UTF-8.
        if (given.isWellFormed()) assert.deepEqual(opened, { id: given, account: "a/two" });
      }),
    );
  });

  it("does not open once a letter of it is another", () => {
    const sealed = seal.seal(alice, "a/one", "resp_0123456789abcdef");
    assert.ok(sealed.length <= maxSealedIdLength);
    for (let index = 0; index < sealed.length - 1; index++) {
      const changed = sealed.slice(0, index) + (sealed[index] === "x" ? "y" : "x") + sealed.slice(index + 1);
      assert.equal(seal.open(alice, changed), null, changed);
    }
  });

  it("opens after a change of the pepper where the one before is known, and not with another", () => {
    const sealed = seal.seal(alice, "a/one", "file-1");
    const mark = seal.mark(alice);
    const after = new IdSeal(Buffer.from("new"), providers, [Buffer.from("pepper")]);
    assert.deepEqual(after.open(alice, sealed), { id: "file-1", account: "a/one" });
    assert.deepEqual([after.isMarkedFor(alice, mark), after.isMarkedFor(owner("a", "bob"), mark)], [true, false]);
    assert.equal(new IdSeal(Buffer.from("new"), providers).open(alice, sealed), null);
  });

  it("is worth nothing once its provider is gone", () => {
    const sealed = seal.seal(alice, "a/gone", "file-1");
    assert.equal(seal.open(alice, sealed), null);
  });
});
