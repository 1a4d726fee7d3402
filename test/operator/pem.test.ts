import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { before, describe, it } from "node:test";
import type { PublicHalf, Unusable } from "../../operator/compile/world.ts";
import { pemFacts } from "../../operator/pem.ts";
import { secretFact } from "../../operator/secrets.ts";
import { type Authority, certificateAuthority, type Pair } from "../harness/certificates.ts";
import fc from "../harness/property.ts";

const publicKey = (half: PublicHalf | Unusable | undefined): string =>
  half !== undefined && "publicKey" in half ? half.publicKey : "";
const unusable = (half: PublicHalf | Unusable | undefined): string =>
  half !== undefined && "unusable" in half ? half.unusable : "";

describe("what TLS can do with a Secret's value", () => {
  let authority: Authority;
  let pair: Pair;
  let other: Pair;
  before(async () => {
    authority = await certificateAuthority();
    [pair, other] = await Promise.all([authority.issue("a.internal"), authority.issue("b.internal")]);
  });

  it("distinguishes a certificate's key from another key", () => {
    const own = publicKey(pemFacts(pair.cert).certificate);
    assert.match(own, /^[0-9a-f]{64}$/);
    assert.equal(publicKey(pemFacts(pair.key).privateKey), own);
    assert.notEqual(publicKey(pemFacts(other.key).privateKey), own);
  });

  it("uses the first certificate of a chain, wherever it is in the value", () => {
    const own = publicKey(pemFacts(pair.cert).certificate);
    assert.equal(publicKey(pemFacts(`# of the gateway\n${pair.cert}\n${authority.cert}`).certificate), own);
    assert.notEqual(publicKey(pemFacts(`${authority.cert}\n${pair.cert}`).certificate), own);
  });

  it("accepts keys in the usual formats", () => {
    const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    const ed = generateKeyPairSync("ed25519").privateKey;
    const written = [
      [ec.export({ type: "sec1", format: "pem" }), ec.export({ type: "pkcs8", format: "pem" })],
      [rsa.export({ type: "pkcs1", format: "pem" }), rsa.export({ type: "pkcs8", format: "pem" })],
      [ed.export({ type: "pkcs8", format: "pem" }), ed.export({ type: "pkcs8", format: "pem" })],
    ].map((ways) => ways.map((pem) => publicKey(pemFacts(String(pem)).privateKey)));
    for (const [one, two] of written) {
      assert.match(one ?? "", /^[0-9a-f]{64}$/);
      assert.equal(one, two);
    }
    const params = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    assert.equal(
      publicKey(pemFacts(params + String(ec.export({ type: "sec1", format: "pem" }))).privateKey),
      written[0]?.[0],
    );
  });

  it("says what is wrong, and nothing of the value", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const locked = String(
      privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "hunter2" }),
    );
    const weak = String(
      generateKeyPairSync("rsa", { modulusLength: 512 }).privateKey.export({ type: "pkcs8", format: "pem" }),
    );
    const cut = (pem: string): string => pem.split("\n").toSpliced(2, 3).join("\n");
    for (const [half, why] of [
      [pemFacts(locked).privateKey, /a key with a passphrase; store it without one/],
      [pemFacts(cut(pair.key)).privateKey, /a private key that TLS can't use.*; (issue|create) a new one/],
      [pemFacts(cut(pair.cert)).certificate, /a certificate that TLS can't use.*; (issue|create) a new one/],
      [pemFacts(pair.cert.repeat(40)).certificate, /larger than 32 KiB/],
      [pemFacts(`${"#".repeat(33_000)}\n${pair.key}`).privateKey, /larger than 32 KiB/],
      [pemFacts(`${pair.cert}\n${cut(authority.cert)}`).certificate, /a certificate that TLS can't use/],
    ] as const) {
      assert.match(unusable(half), why);
      assert.doesNotMatch(unusable(half), /BEGIN|[A-Za-z0-9+/]{24}/);
    }
    // Whether so short a key will do, OpenSSL's level of security says.
    assert.ok(pemFacts(weak).privateKey);
  });

  it("has nothing to say of anything else", () => {
    for (const value of ["", "sk-1", "slc_abcdefgh", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
      assert.deepEqual(pemFacts(value), {});
    assert.equal("certificate" in secretFact(new Uint8Array(32), "sk-1"), false);
    assert.match(secretFact(new Uint8Array(32), "k".repeat(16_385)).unusable ?? "", /larger than 16 KiB/);
  });

  it("never throws, whatever stands between the marks", () => {
    const marks = fc.constantFrom(
      "-----BEGIN CERTIFICATE-----",
      "-----END CERTIFICATE-----",
      "-----BEGIN RSA PRIVATE KEY-----",
      "-----BEGIN PRIVATE KEY-----",
      "\n",
    );
    const anything = fc
      .array(fc.oneof(marks, fc.base64String(), fc.string({ unit: "binary" })))
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(anything, (value) => {
        const { certificate, privateKey } = pemFacts(value);
        for (const half of [certificate, privateKey])
          if (half !== undefined) assert.ok(unusable(half) !== "" || publicKey(half) !== "");
      }),
    );
  });
});
