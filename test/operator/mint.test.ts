import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mintKey, wellFormedKey } from "../../proxy/config/key-form.ts";
import fc from "../harness/property.ts";

const random = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe("a key that Sluice makes", () => {
  it("has its prefix, 43 characters and a checksum that is right", () => {
    fc.assert(
      fc.property(random, (bytes) => {
        const key = mintKey(bytes);
        assert.match(key, /^slc_[0-9A-Za-z]{49}$/);
        assert.ok(wellFormedKey(key));
      }),
    );
  });

  it("differs wherever its randomness does", () => {
    fc.assert(fc.property(random, random, (a, b) => Buffer.compare(a, b) === 0 || mintKey(a) !== mintKey(b)));
  });

  it("differs from one with a typing error", () => {
    fc.assert(
      fc.property(random, fc.integer({ min: 4, max: 52 }), (bytes, at) => {
        const key = mintKey(bytes);
        const other = key[at] === "x" ? "y" : "x";
        assert.ok(!wellFormedKey(key.slice(0, at) + other + key.slice(at + 1)));
      }),
    );
  });
});
