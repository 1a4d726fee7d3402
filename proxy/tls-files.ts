/** The files of the TLS listener, from settings, and what follows their changes. */
import type { Denial } from "./audit/denials.ts";
import { keepTls } from "./certificate.ts";
import { watchClients } from "./client-certificates.ts";
import { steadyNowMs } from "./clock.ts";
import type { trafficListener } from "./server.ts";
import type { ProxySettings } from "./settings.ts";
import type { Logger } from "./telemetry/log.ts";
import type { Metrics } from "./telemetry/metrics.ts";
import type { readTls } from "./wire/tls.ts";

type TlsFiles = Parameters<typeof readTls>[0];
type TlsSettings = Awaited<ReturnType<typeof readTls>>;

export const tlsFilesOf = (settings: ProxySettings): TlsFiles => ({
  cert: settings.tlsCert,
  key: settings.tlsKey,
  clientCa: settings.tlsClientCa,
  clientCrl: settings.tlsClientCrl,
  clientAuth: settings.tlsClientAuth,
});

interface Reports {
  log: Logger;
  registry: Metrics["registry"];
  /** Receives what is refused before it is a call. */
  denied(denial: Denial): void;
}

/** Counts clients that are refused at the handshake, and follows changes of the files. Returns how to stop. */
export function followTlsFiles(
  { secure }: ReturnType<typeof trafficListener>,
  tls: TlsSettings | null,
  settings: ProxySettings,
  { log, registry, denied }: Reports,
): () => void {
  if (secure === null || tls === null) return () => undefined;
  if (tls.options.requestCert)
    watchClients(secure, { required: tls.options.rejectUnauthorized, nowMs: steadyNowMs, log, registry, denied });
  return keepTls(tlsFilesOf(settings), tls, secure, settings.pollMs, log, registry);
}
