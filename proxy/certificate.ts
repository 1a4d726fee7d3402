/** The traffic listener's certificate in use: reloaded from its files, and monitored for expiry. */
import type { Server as SecureServer } from "node:tls";
import type { Registry } from "prom-client";
import { registerCounter, registerGauge } from "./metrics/register.ts";
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
  const notAfter = registerGauge(registry, "sluice_tls_certificate_not_after_seconds");
  const failures = registerCounter(registry, "sluice_tls_reload_failures_total");
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
