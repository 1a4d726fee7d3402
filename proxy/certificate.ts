/** The traffic listener's certificate in use: reloaded from its files, and monitored for expiry. */
import type { Server as SecureServer } from "node:tls";
import { Counter, Gauge, type Registry } from "prom-client";
import type { Logger } from "./telemetry/log.ts";
import { type TlsFiles, type TlsMaterial, watchTls } from "./wire/tls.ts";

/** New connections use a new certificate; open ones keep theirs. */
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
    help: "When the listener's certificate expires, in seconds since 1970.",
    registers,
  });
  const failures = new Counter({
    name: "sluice_tls_reload_failures_total",
    help: "New certificates that could not be loaded; the old one stays in use.",
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
        "certificate not loaded; the old one stays in use",
      );
    },
  });
}
