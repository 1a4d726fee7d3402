/** Checks whether TLS can use a Secret's PEM value. Of a key, only the digest of its public half leaves this file. */
import { Buffer } from "node:buffer";
import { createHash, createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { PemFacts, PublicHalf, Unusable } from "./compile/world.ts";

/**
 * A chain of five certificates with 4,096-bit RSA keys takes about 12 KiB. Everything that proxies mount must fit into
 * one Secret of 1 MiB.
 */
const maxBytes = 32_768;

const certificateBegins = "-----BEGIN CERTIFICATE-----";
const keyBegins = /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/;

const publicHalf = (key: KeyObject): PublicHalf => ({
  publicKey: createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("hex"),
});

const codeOf = (cause: unknown): string => String((cause as { code?: unknown }).code ?? "");

/** OpenSSL's reason for refusing a value, such as "ee key too small": from a closed list, never part of the value. */
function opensslReason(cause: unknown): string {
  const { reason } = cause as { reason?: unknown };
  return typeof reason === "string" && codeOf(cause).startsWith("ERR_SSL_") ? ` (${reason})` : "";
}

function certificateOf(pem: string): NonNullable<PemFacts["certificate"]> {
  try {
    const leaf = new X509Certificate(pem);
    createSecureContext({ cert: pem });
    return { ...publicHalf(leaf.publicKey), notAfterMs: Date.parse(leaf.validTo) };
  } catch (cause) {
    return { unusable: `holds a certificate that TLS can't use${opensslReason(cause)}; issue a new one` };
  }
}

function privateKeyOf(pem: string): PublicHalf | Unusable {
  try {
    const key = createPrivateKey(pem);
    createSecureContext({ key: pem });
    return publicHalf(createPublicKey(key));
  } catch (cause) {
    if (codeOf(cause) === "ERR_MISSING_PASSPHRASE" || pem.includes("ENCRYPTED"))
      return { unusable: "holds a key with a passphrase; store it without one" };
    return { unusable: `holds a private key that TLS can't use${opensslReason(cause)}; create a new one` };
  }
}

/** Returns {} for a value that is not PEM. */
export function pemFacts(value: string): PemFacts {
  // Most values are API keys, for which this is the only check.
  if (!value.includes("-----BEGIN ")) return {};
  const large = Buffer.byteLength(value) > maxBytes ? { unusable: "is larger than 32 KiB" } : null;
  return {
    ...(value.includes(certificateBegins) ? { certificate: large ?? certificateOf(value) } : {}),
    ...(keyBegins.test(value) ? { privateKey: large ?? privateKeyOf(value) } : {}),
  };
}
