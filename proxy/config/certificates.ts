/** Certificates in PEM. */
import { X509Certificate } from "node:crypto";

/** Whether this is one certificate that TLS can be told to trust. */
export function readableCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
