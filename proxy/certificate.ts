/** The traffic listener's certificate while it is in use: renewed from its files, and watched for its end. */
import type { Server as SecureServer } from "node:tls";
import { Counter, Gauge, type Registry } from "prom-client";
import type { Logger } from "./telemetry/log.ts";
import { type TlsFiles, type TlsMaterial, watchTls } from "./wire/tls.ts";

/** A new certificate is used for the next connection; those that are open keep theirs. */
export function keepTls(
  files: TlsFiles,
  first: TlsMaterial,
  server: SecureServer,
  pollMs: number,
  log: Logger,
  registry: Registry,
): () => void {
  const registers = [registry];
  const notAfter = new Gauge({
    name: "sluice_tls_certificate_not_after_seconds",
    help: "When the listener's certificate ends, in seconds since 1970.",
    registers,
  });
  const failures = new Counter({
    name: "sluice_tls_reload_failures_total",
    help: "New certificates that could not be used; the old one stays.",
    registers,
  });
  notAfter.set(first.notAfterMs / 1000);
  return watchTls(files, first, pollMs, {
    apply(material) {
      server.setSecureContext(material.options);
      notAfter.set(material.notAfterMs / 1000);
      log.info({ not_after: new Date(material.notAfterMs).toISOString() }, "certificate live");
    },
    failed(cause) {
      failures.inc();
      log.error(
        { err: cause instanceof Error ? cause.message : String(cause) },
        "certificate not taken; the old one stays in use",
      );
    },
  });
}
