/** Certificates in PEM. */
import { X509Certificate } from "node:crypto";

/** Until when the first certificate is good, epoch milliseconds; null where there is none that can be read. */
export function certificateEndMs(pem: string): number | null {
  try {
    return Date.parse(new X509Certificate(pem).validTo);
  } catch {
    return null;
  }
}

/** Whether this is one certificate that TLS can be told to trust. */
export function readableCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}

const block = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** What is wrong with a bundle, to be read behind its name; null where it is nothing but certificates. */
export function bundleProblem(bundle: string): string | null {
  const blocks = bundle.match(block) ?? [];
  // A key beside the certificate would be published to whoever may read ConfigMaps.
  if (bundle.includes("PRIVATE KEY-----"))
    return "holds a private key; take it out, make a new one, and leave only certificates";
  if (blocks.length === 0 || bundle.replace(block, "").includes("-----"))
    return "must be whole certificates in PEM and nothing else";
  const bad = blocks.findIndex((pem) => !readableCertificate(pem));
  return bad < 0 ? null : `has a certificate, number ${bad + 1}, that can't be read; copy it again`;
}

/** Only the certificates: bundles come with comments, which are of no use to a proxy. null where there is none. */
export const certificatesIn = (bundle: string): string | null => bundle.match(block)?.join("\n") ?? null;
