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
