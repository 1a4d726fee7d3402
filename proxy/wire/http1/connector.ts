/** Connects to a provider: TLS with session resumption, and only to addresses that are allowed. */
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectSecure } from "node:tls";
import { guardedLookup } from "../../config/destination.ts";
import type { UpstreamAddress } from "../upstream-address.ts";
import { sharedReads } from "./reads.ts";

export class ConnectTimeoutError extends Error {
  override readonly name = "ConnectTimeoutError";
  readonly code = "ESLUICECONNECT";
}

/** Longer than the idle time after which load balancers and NAT forget a connection's silence. */
const tcpKeepAliveMs = 60_000;

export interface Connector {
  /** For the Host field. */
  readonly host: string;
  /** `connected` is called once, unless the socket fails before, which is an `error` event. */
  connect(connected: () => void): Socket;
}

export function connectorOf({ origin, allowPrivate, connectMs, tls }: UpstreamAddress): Connector {
  const { protocol, hostname, port, host } = new URL(origin);
  const secure = protocol === "https:";
  if (!secure && protocol !== "http:")
    throw new TypeError(`the protocol ${protocol} is not supported: use http or https`);
  const name = hostname.replace(/^\[|\]$/g, "");
  const { ca = null, serverName = null, client = null } = tls ?? {};
  const common = {
    host: name,
    port: Number(port === "" ? (secure ? 443 : 80) : port),
    // Checks every address, so a name can't lead elsewhere between the check and the connection.
    lookup: guardedLookup(allowPrivate) as never,
    onread: sharedReads,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: tcpKeepAliveMs,
  };
  // A session belongs to this certificate and these authorities: another address has another connector.
  let session: Buffer | undefined;
  const open = (): Socket => {
    if (!secure) return connectPlain(common);
    const socket = connectSecure({
      ...common,
      servername: serverName ?? (isIP(name) === 0 ? name : ""),
      ALPNProtocols: ["http/1.1"],
      ...(session === undefined ? {} : { session }),
      ...(ca === null ? {} : { ca }),
      ...(client === null ? {} : { cert: client.cert, key: client.key }),
    });
    socket.on("session", (fresh: Buffer) => {
      session = fresh;
    });
    return socket;
  };
  return {
    host,
    connect(connected) {
      const socket = open();
      const timer = setTimeout(
        () => socket.destroy(new ConnectTimeoutError("the connection was not made in time")),
        connectMs,
      );
      const settled = (): void => clearTimeout(timer);
      socket.once(secure ? "secureConnect" : "connect", () => {
        settled();
        connected();
      });
      socket.once("close", settled);
      return socket;
    },
  };
}
