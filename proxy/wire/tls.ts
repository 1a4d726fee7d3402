/**
 * TLS on the traffic listener: certificate, key and the authority of clients from files, which may change at any time
 * (cert-manager renews a Secret, kubelet swaps the volume's link). A pair that can't be used never replaces a good one.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { authoritiesIn, revocationsIn } from "./authorities.ts";

export interface TlsFiles {
  cert: string;
  key: string;
  /** Authorities whose certificates clients may have; "" where none is asked for. */
  clientCa: string;
  /** Lists of certificates that these authorities revoked; "" for none. One of each authority in the chain is needed. */
  clientCrl: string;
  /** Required: a client without a certificate of theirs is not let in. Optional: one that has another isn't. */
  clientAuth: "Required" | "Optional";
}

export interface TlsMaterial {
  options: SecureContextOptions & { requestCert: boolean; rejectUnauthorized: boolean };
  /** From when and until when the certificate is good, epoch milliseconds. */
  notBeforeMs: number;
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
  const textOf = (file: string): Promise<string> | null => (file === "" ? null : readFile(file, "utf8"));
  const [cert, key, caText, crlText] = await Promise.all([
    readFile(files.cert, "utf8"),
    readFile(files.key, "utf8"),
    textOf(files.clientCa),
    textOf(files.clientCrl),
  ]);
  const ca = caText === null ? null : authoritiesIn(files.clientCa, caText);
  const crl = crlText === null ? null : revocationsIn(files.clientCrl, crlText);
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
    ...(crl === null ? {} : { crl }),
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
  return {
    options,
    notBeforeMs: Date.parse(leaf.validFrom),
    notAfterMs: Date.parse(leaf.validTo),
    fingerprint: [cert, key, ca ?? "", crl ?? ""].join("\n"),
  };
}

export interface TlsWatching {
  apply(material: TlsMaterial): void;
  failed(cause: unknown): void;
}

/** Throws where the certificate is not good now, and the one in use is. */
function checkLife(files: TlsFiles, { notBeforeMs, notAfterMs }: TlsMaterial, untilMs: number): void {
  const nowMs = Date.now();
  if (nowMs >= untilMs) return;
  if (nowMs >= notAfterMs)
    throw new Error(`the certificate in ${files.cert} ended at ${new Date(notAfterMs).toISOString()}`);
  if (nowMs < notBeforeMs)
    throw new Error(`the certificate in ${files.cert} is not good before ${new Date(notBeforeMs).toISOString()}`);
}

/** Applies what changes from now on. Returns what stops it. */
export function watchTls(
  files: TlsFiles,
  first: TlsMaterial,
  pollMs: number,
  { apply, failed }: TlsWatching,
): () => void {
  let last = first.fingerprint;
  let { notAfterMs } = first;
  let wrong = "";
  let busy = false;
  const look = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    try {
      const material = await readTls(files);
      if (material.fingerprint !== last) {
        checkLife(files, material, notAfterMs);
        last = material.fingerprint;
        notAfterMs = material.notAfterMs;
        apply(material);
      }
      wrong = "";
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
  const folders = [
    ...new Set([files.cert, files.key, files.clientCa, files.clientCrl].filter((file) => file !== "").map(dirname)),
  ];
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
