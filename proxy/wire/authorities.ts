/**
 * Reads files of CA certificates and of revocation lists. Node takes an empty string to mean "trust the public
 * authorities" or "no list", so only what was actually read is passed to it.
 */
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { bundleProblem, certificatesIn } from "../config/certificates.ts";

const list = /-----BEGIN X509 CRL-----[A-Za-z0-9+/=\s]+-----END X509 CRL-----/g;

/**
 * Returns the PEM certificates in a text. Throws an Error naming the file if it has none, or one that can't be parsed.
 */
export function authoritiesIn(file: string, text: string): string {
  const wrong = bundleProblem(text);
  const certificates = certificatesIn(text);
  if (wrong === null && certificates !== null) return certificates;
  throw new Error(`${file} ${wrong ?? "holds no PEM certificate"}`);
}

/** Returns the PEM certificates in a file. Throws as `authoritiesIn` does. */
export const readAuthorities = (file: string): string => authoritiesIn(file, readFileSync(file, "utf8"));

/** Returns the PEM revocation lists in a text. Throws as `authoritiesIn` does. */
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
