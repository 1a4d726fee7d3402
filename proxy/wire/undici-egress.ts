/** undici's connections through the egress proxy. */
import { Agent, buildConnector } from "undici";
import type { Egress } from "../config/egress/egress.ts";
import { openTunnel, tunnelTargetOf } from "../config/egress/tunnel.ts";

interface Destination {
  origin: string;
  allowPrivate: boolean;
  connectMs: number;
}

class TunnelTimeoutError extends Error {
  override readonly name = "TunnelTimeoutError";
  readonly code = "ESLUICECONNECT";
}

/** A connector for this destination; null if it is reached directly. `connect` adds TLS. */
export function throughEgress(
  egress: Egress,
  { origin, allowPrivate, connectMs }: Destination,
  connect: buildConnector.connector,
): buildConnector.connector | null {
  const url = new URL(origin);
  const proxy = egress.proxyFor(url);
  if (proxy === null) return null;
  const target = tunnelTargetOf(url, allowPrivate);
  return (options, callback) => {
    const timer = setTimeout(() => {
      opening.destroy();
      callback(new TunnelTimeoutError("the connection could not be made in time"), null);
    }, connectMs);
    const opening = openTunnel(proxy, target, (error, socket) => {
      clearTimeout(timer);
      if (error !== null || socket === undefined) callback(error as Error, null);
      else if (url.protocol === "https:") connect({ ...options, httpSocket: socket }, callback);
      else callback(null, socket);
    });
  };
}

const collectorConnectMs = 10_000;

/** One connection to an OpenTelemetry collector. `ca`: the authorities to trust, in PEM; null for the system's. */
export function collectorAgent(egress: Egress, url: string, ca: string | null): Agent {
  const trust = ca === null ? {} : { ca };
  const destination = { origin: new URL(url).origin, allowPrivate: true, connectMs: collectorConnectMs };
  const connect = throughEgress(egress, destination, buildConnector({ allowH2: false, ...trust }));
  return new Agent({ connections: 1, connect: connect ?? trust });
}
