/**
 * Files with certificates of authorities, and with the lists of certificates that they revoked. Node takes an empty text for
 * "trust the public authorities", or for "no list", so that nothing but what was really read reaches it.
 */
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { bundleProblem, certificatesIn } from "../config/certificates.ts";

const list = /-----BEGIN X509 CRL-----[A-Za-z0-9+/=\s]+-----END X509 CRL-----/g;

/** The certificates in a text, in PEM. Throws an Error that names the file where there is none, or one that can't be read. */
export function authoritiesIn(file: string, text: string): string {
  const wrong = bundleProblem(text);
  const certificates = certificatesIn(text);
  if (wrong === null && certificates !== null) return certificates;
  throw new Error(`${file} ${wrong ?? "holds no certificate in PEM"}`);
}

/** The same of a file. */
export const readAuthorities = (file: string): string => authoritiesIn(file, readFileSync(file, "utf8"));

/** The revocation lists in a text, in PEM. Throws as `authoritiesIn` does. */
export function revocationsIn(file: string, text: string): string {
  const lists = text.match(list) ?? [];
  if (lists.length === 0) throw new Error(`${file} holds no certificate revocation list in PEM`);
  const crl = lists.join("\n");
  try {
    createSecureContext({ crl });
  } catch {
    throw new Error(`${file} holds a certificate revocation list that can't be read`);
  }
  return crl;
}
