/**
 * TLS on the traffic listener: certificate, key and the authority of clients from files, which may change at any time
 * (cert-manager renews a Secret, kubelet swaps the volume's link). A pair that can't be used never replaces a good one.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { createSecureContext, type SecureContextOptions } from "node:tls";

export interface TlsFiles {
  cert: string;
  key: string;
  /** Authorities whose certificates clients may have; "" where none is asked for. */
  clientCa: string;
  /** Required: a client without a certificate of theirs is not let in. Optional: one that has another isn't. */
  clientAuth: "Required" | "Optional";
}

export interface TlsMaterial {
  options: SecureContextOptions & { requestCert: boolean; rejectUnauthorized: boolean };
  /** Until when the certificate is good, epoch milliseconds. */
  notAfterMs: number;
  /** Changes with any of the files. */
  fingerprint: string;
}

/** What Mozilla calls intermediate, without what needs DH parameters: https://wiki.mozilla.org/Security/Server_Side_TLS */
const ciphers = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** Reads and checks. Throws an Error that names the file, and holds nothing of the key. */
export async function readTls(files: TlsFiles): Promise<TlsMaterial> {
  const [cert, key, ca] = await Promise.all([
    readFile(files.cert, "utf8"),
    readFile(files.key, "utf8"),
    files.clientCa === "" ? null : readFile(files.clientCa, "utf8"),
  ]);
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(cert);
  } catch {
    throw new Error(`${files.cert} holds no certificate in PEM`);
  }
  let fits: boolean;
  try {
    fits = leaf.checkPrivateKey(createPrivateKey(key));
  } catch {
    throw new Error(`${files.key} holds no private key in PEM`);
  }
  if (!fits) throw new Error(`the key in ${files.key} is not that of the certificate in ${files.cert}`);
  const options: TlsMaterial["options"] = {
    cert,
    key,
    ...(ca === null ? {} : { ca }),
    requestCert: ca !== null,
    // Optional: Node lets an unknown certificate in with a mark on it, which the listener looks at.
    rejectUnauthorized: ca !== null && files.clientAuth === "Required",
    minVersion: "TLSv1.2",
    ciphers,
    honorCipherOrder: true,
  };
  try {
    createSecureContext(options);
  } catch {
    throw new Error(`the certificates in ${files.cert}${ca === null ? "" : ` or ${files.clientCa}`} can't be used`);
  }
  return { options, notAfterMs: Date.parse(leaf.validTo), fingerprint: [cert, key, ca ?? ""].join("\n") };
}

export interface TlsWatching {
  apply(material: TlsMaterial): void;
  failed(cause: unknown): void;
}

/** Applies what changes from now on. Returns what stops it. */
export function watchTls(
  files: TlsFiles,
  first: TlsMaterial,
  pollMs: number,
  { apply, failed }: TlsWatching,
): () => void {
  let last = first.fingerprint;
  let wrong = "";
  let busy = false;
  const look = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    try {
      const material = await readTls(files);
      wrong = "";
      if (material.fingerprint !== last) {
        last = material.fingerprint;
        apply(material);
      }
    } catch (cause) {
      // Told once for each thing that is wrong: while a volume is swapped, files may be missing for a moment.
      const why = String(cause);
      if (why !== wrong) failed(cause);
      wrong = why;
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(() => void look(), pollMs).unref();
  const folders = [...new Set([files.cert, files.key, files.clientCa].filter((file) => file !== "").map(dirname))];
  const watchers = folders.flatMap((folder) => {
    try {
      const one = watch(folder, () => void look());
      one.on("error", () => undefined);
      return [one];
    } catch {
      return [];
    }
  });
  return () => {
    clearInterval(timer);
    for (const one of watchers) one.close();
  };
}
