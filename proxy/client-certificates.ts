/**
 * Client certificates on the traffic listener (mutual TLS). Node checks them in a full handshake only: it closes
 * refused connections without a message, and accepts resumed sessions even after the certificate has expired. This
 * module handles both.
 */
import type { Socket } from "node:net";
import type { Server as SecureServer, TLSSocket } from "node:tls";
import type { Registry } from "prom-client";
import type { Denial } from "./audit/denials.ts";
import { registerCounter } from "./metrics/register.ts";
import type { Logger } from "./telemetry/log.ts";

type Reason =
  | "no_certificate"
  | "expired"
  | "not_yet_valid"
  | "unknown_authority"
  | "revoked"
  | "wrong_purpose"
  | "other";

const reasons: Readonly<Record<string, Reason>> = {
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: "no_certificate",
  UNABLE_TO_GET_ISSUER_CERT: "no_certificate",
  CERT_HAS_EXPIRED: "expired",
  CERT_NOT_YET_VALID: "not_yet_valid",
  CERT_REVOKED: "revoked",
  INVALID_PURPOSE: "wrong_purpose",
  DEPTH_ZERO_SELF_SIGNED_CERT: "unknown_authority",
  SELF_SIGNED_CERT_IN_CHAIN: "unknown_authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "unknown_authority",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "unknown_authority",
  CERT_SIGNATURE_FAILURE: "unknown_authority",
};

/** At most one line a second, since clients decide how often they connect. */
const logEveryMs = 1_000;

export interface ClientCertificates {
  /** Whether a client must present a certificate. */
  required: boolean;
  nowMs(): number;
  log: Logger;
  registry: Registry;
  /** Receives each refusal. */
  denied(denial: Denial): void;
}

function nameOf(socket: TLSSocket): string | undefined {
  const name = socket.getPeerX509Certificate()?.subject;
  return name?.replaceAll("\n", ", ").slice(0, 256);
}

/**
 * Addresses by connection: once Node has closed it, its TLS socket has none. That names the connection it was made from
 * in `_parent`, which Node does not document; without it, the address is missing.
 */
function watchAddresses(server: SecureServer): (socket: TLSSocket) => string | undefined {
  const addresses = new WeakMap<object, string | undefined>();
  server.prependListener("connection", (socket: Socket) => addresses.set(socket, socket.remoteAddress));
  return (socket) => {
    const { _parent: connection } = socket as { _parent?: unknown };
    const known = typeof connection === "object" && connection !== null ? addresses.get(connection) : undefined;
    return socket.remoteAddress ?? known;
  };
}

export function watchClients(
  server: SecureServer,
  { required, nowMs, log, registry, denied }: ClientCertificates,
): void {
  const counter = registerCounter(registry, "sluice_tls_client_refused_total");
  const addressOf = watchAddresses(server);
  let loggedMs = Number.NEGATIVE_INFINITY;
  let unlogged = 0;
  const refused = (socket: TLSSocket, code: string): void => {
    const reason = reasons[code] ?? "other";
    counter.inc({ reason });
    const [subject, address] = [nameOf(socket), addressOf(socket)];
    denied({
      what: "client_certificate",
      reason,
      address: address ?? "",
      ...(subject === undefined ? {} : { subject }),
    });
    if (nowMs() - loggedMs < logEveryMs) {
      unlogged++;
      return;
    }
    loggedMs = nowMs();
    const line = { reason, code, subject, address, unlogged };
    log.warn(line, "client certificate refused");
    unlogged = 0;
  };

  // The handshake failed before the socket became a connection: Node or the client closed it.
  server.on("tlsClientError", (error: { code?: string }, socket: TLSSocket) => {
    const code = (socket.authorizationError as unknown as string | null) ?? error.code ?? "";
    if (Object.hasOwn(reasons, code) || socket.authorizationError) refused(socket, code);
  });
  // Runs before the listener that reads requests.
  server.prependListener("secureConnection", (socket: TLSSocket) => {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) {
      if (!required) return;
      refused(socket, "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE");
      socket.destroy();
      return;
    }
    // A resumed session carries the certificate it started with and is not checked again.
    const ended = nowMs() >= Date.parse(certificate.validTo);
    if (socket.authorized && !ended) return;
    refused(socket, ended ? "CERT_HAS_EXPIRED" : String(socket.authorizationError));
    socket.destroy();
  });
}
