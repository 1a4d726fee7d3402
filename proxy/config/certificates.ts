/** Certificates in PEM. */
import { X509Certificate } from "node:crypto";

/** When the first certificate expires, in epoch milliseconds; null if there is no readable certificate. */
export function certificateEndMs(pem: string): number | null {
  try {
    return Date.parse(new X509Certificate(pem).validTo);
  } catch {
    return null;
  }
}

/** Whether this is a single certificate that TLS can trust. */
export function readableCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}

const block = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** Returns what is wrong with a bundle, worded to follow its name; null if it holds only certificates. */
export function bundleProblem(bundle: string): string | null {
  const blocks = bundle.match(block) ?? [];
  // A key next to the certificate would be published to everyone who may read ConfigMaps.
  if (bundle.includes("PRIVATE KEY-----"))
    return "holds a private key; take it out, make a new one, and leave only certificates";
  if (blocks.length === 0 || bundle.replace(block, "").includes("-----"))
    return "must be whole certificates in PEM and nothing else";
  const bad = blocks.findIndex((pem) => !readableCertificate(pem));
  return bad < 0 ? null : `has an unreadable certificate, number ${bad + 1}; copy it again`;
}

/** Returns only the certificates, without the comments that bundles often hold; null if there is none. */
export const certificatesIn = (bundle: string): string | null => bundle.match(block)?.join("\n") ?? null;
