/** Connects to a provider: TLS with session resumption, and only to addresses that are allowed. */
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectSecure } from "node:tls";
import { guardedLookup } from "../../config/destination.ts";
import type { Egress, EgressProxy } from "../../config/egress/egress.ts";
import { openTunnel, type TunnelTarget, tunnelTargetOf } from "../../config/egress/tunnel.ts";
import type { UpstreamAddress } from "../upstream-address.ts";
import { readAccepted, sharedReads, type TakeBytes, takeReads } from "./reads.ts";

export class ConnectTimeoutError extends Error {
  override readonly name = "ConnectTimeoutError";
  readonly code = "ESLUICECONNECT";
}

/** Well below the idle time after which load balancers and NAT drop a silent connection. */
const tcpKeepAliveMs = 60_000;

export interface ConnectEvents {
  /**
   * The socket, which will be connected or fail with an `error` event. Called at once, unless a tunnel through the
   * egress proxy must be opened first.
   */
  socket(socket: Socket): void;
  /** Receives the bytes that the socket reads. */
  take: TakeBytes;
  /** Called once, unless the socket fails before. */
  connected(): void;
  /** There will be no socket. */
  failed(error: Error): void;
}

export interface Connecting {
  destroy(): void;
}

export interface Connector {
  /** For the Host field. */
  readonly host: string;
  connect(events: ConnectEvents): Connecting;
}

const late = (): Error => new ConnectTimeoutError("the connection could not be made in time");

/** Options of TLS to this address, with the session of the connection before. */
function secureOptions({ tls }: UpstreamAddress, name: string) {
  const { ca = null, serverName = null, client = null } = tls ?? {};
  // A session is valid only for this certificate and these authorities; each address has its own connector.
  let session: Buffer | undefined;
  return {
    options: () => ({
      // The name that the certificate must have if the host is an IP address, which has no servername.
      host: name,
      servername: serverName ?? (isIP(name) === 0 ? name : ""),
      ALPNProtocols: ["http/1.1"],
      ...(session === undefined ? {} : { session }),
      ...(ca === null ? {} : { ca }),
      ...(client === null ? {} : { cert: client.cert, key: client.key }),
    }),
    keep(socket: Socket): Socket {
      return socket.on("session", (fresh: Buffer) => {
        session = fresh;
      });
    },
  };
}

/** Watches a socket until it is connected or the time is up. */
function follow(socket: Socket, event: "connect" | "secureConnect", ms: number, connected: () => void): void {
  const timer = setTimeout(() => socket.destroy(late()), ms);
  socket.once(event, () => {
    clearTimeout(timer);
    connected();
  });
  socket.once("close", () => clearTimeout(timer));
}

type Tls = ReturnType<typeof secureOptions>;

/** `tls`: null for plain HTTP. */
function directConnector(host: string, target: TunnelTarget, connectMs: number, tls: Tls | null): Connector {
  const common = {
    host: target.host,
    port: target.port,
    // Checks every address, so a name can't lead elsewhere between the check and the connection.
    lookup: guardedLookup(target.allowPrivate) as never,
    onread: sharedReads,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: tcpKeepAliveMs,
  };
  return {
    host,
    connect(events) {
      const socket = tls === null ? connectPlain(common) : tls.keep(connectSecure({ ...common, ...tls.options() }));
      takeReads(socket, events.take);
      events.socket(socket);
      follow(socket, tls === null ? "connect" : "secureConnect", connectMs, events.connected);
      return socket;
    },
  };
}

/** Continues with TLS once the tunnel is open. */
function useTunnel(tunnel: Socket, events: ConnectEvents, untilMs: number, tls: Tls | null): void {
  const ready = (socket: Socket): void => {
    readAccepted(socket, events.take);
    events.connected();
  };
  if (tls === null) {
    events.socket(tunnel);
    ready(tunnel);
    return;
  }
  const socket = tls.keep(connectSecure({ socket: tunnel, ...tls.options() }));
  tunnel.on("error", (cause: Error) => socket.destroy(cause));
  socket.once("close", () => tunnel.destroy());
  events.socket(socket);
  follow(socket, "secureConnect", Math.max(1, untilMs - performance.now()), () => ready(socket));
}

function tunnelConnector(
  host: string,
  target: TunnelTarget,
  connectMs: number,
  tls: Tls | null,
  proxy: EgressProxy,
): Connector {
  return {
    host,
    connect(events) {
      const untilMs = performance.now() + connectMs;
      const timer = setTimeout(() => {
        opening.destroy();
        events.failed(late());
      }, connectMs);
      const opening = openTunnel(proxy, target, (error, tunnel) => {
        clearTimeout(timer);
        if (tunnel === undefined) events.failed(error ?? late());
        else useTunnel(tunnel, events, untilMs, tls);
      });
      return {
        destroy() {
          clearTimeout(timer);
          opening.destroy();
        },
      };
    },
  };
}

export function connectorOf(address: UpstreamAddress, egress: Egress): Connector {
  const url = new URL(address.origin);
  const secure = url.protocol === "https:";
  if (!secure && url.protocol !== "http:")
    throw new TypeError(`the protocol ${url.protocol} is not supported: use http or https`);
  const target = tunnelTargetOf(url, address.allowPrivate);
  const tls = secure ? secureOptions(address, target.host) : null;
  const proxy = egress.proxyFor(url);
  return proxy === null
    ? directConnector(url.host, target, address.connectMs, tls)
    : tunnelConnector(url.host, target, address.connectMs, tls, proxy);
}
