/**
 * TLS for the traffic listener. Reads the certificate, key and client CA from files, which may change at any time
 * (cert-manager renews a Secret, kubelet swaps the volume's symlink). An unusable pair never replaces a good one.
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
  /** File of the authorities that client certificates are checked against; "" to request no client certificate. */
  clientCa: string;
  /** File of these authorities' revocation lists; "" for none. Each authority in the chain needs one. */
  clientCrl: string;
  /**
   * Required: clients need a certificate from these authorities. Optional: clients may have none, but not an unknown
   * one.
   */
  clientAuth: "Required" | "Optional";
}

export interface TlsMaterial {
  options: SecureContextOptions & { requestCert: boolean; rejectUnauthorized: boolean };
  /** The certificate's validity, in epoch milliseconds. */
  notBeforeMs: number;
  notAfterMs: number;
  /** Changes when any of the files changes. */
  fingerprint: string;
}

/**
 * Mozilla's intermediate profile without suites that need DH parameters:
 * https://wiki.mozilla.org/Security/Server_Side_TLS
 */
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

/** Reads and checks the files. Throws an Error that names the file and contains nothing of the key. */
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
    throw new Error(`${files.cert} holds no PEM certificate`);
  }
  let fits: boolean;
  try {
    fits = leaf.checkPrivateKey(createPrivateKey(key));
  } catch {
    throw new Error(`${files.key} holds no PEM private key`);
  }
  if (!fits) throw new Error(`the key in ${files.key} does not match the certificate in ${files.cert}`);
  const options: TlsMaterial["options"] = {
    cert,
    key,
    ...(ca === null ? {} : { ca }),
    ...(crl === null ? {} : { crl }),
    requestCert: ca !== null,
    // Optional: Node accepts an unknown certificate but marks the socket unauthorized, which the listener checks.
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

/** Throws if the certificate is not valid now but the one in use is. */
function checkLife(files: TlsFiles, { notBeforeMs, notAfterMs }: TlsMaterial, untilMs: number): void {
  const nowMs = Date.now();
  if (nowMs >= untilMs) return;
  if (nowMs >= notAfterMs)
    throw new Error(`the certificate in ${files.cert} expired at ${new Date(notAfterMs).toISOString()}`);
  if (nowMs < notBeforeMs)
    throw new Error(`the certificate in ${files.cert} is not valid before ${new Date(notBeforeMs).toISOString()}`);
}

/** Applies changes of the files from now on. Returns a function that stops watching. */
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
      // Reports each problem once: while a volume is being swapped, files may be missing for a moment.
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
      const watcher = watch(folder, () => void look());
      watcher.on("error", () => undefined);
      return [watcher];
    } catch {
      return [];
    }
  });
  return () => {
    clearInterval(timer);
    for (const watcher of watchers) watcher.close();
  };
}
