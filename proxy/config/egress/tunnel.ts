/** Tunnels through the egress proxy (CONNECT), for https:// and http:// alike. */
import { Buffer } from "node:buffer";
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectSecure } from "node:tls";
import { addressAllowed, DestinationRefusedError } from "../destination.ts";
import { type Egress, type EgressProxy, portOf } from "./egress.ts";

/** Why there is no tunnel. The messages have neither credentials nor anything that the proxy wrote. */
const reasons = {
  ESLUICEPROXYUNREACHABLE: "the egress proxy can't be reached",
  ESLUICEPROXYAUTH: "the egress proxy refuses the gateway's credentials",
  ESLUICEPROXYREFUSED: "the egress proxy refuses the connection",
  ESLUICEPROXYNOROUTE: "the egress proxy can't reach it",
  ESLUICEPROXYBROKE: "the egress proxy broke off",
} as const;
export type TunnelCode = keyof typeof reasons;

export class TunnelError extends Error {
  override readonly name = "TunnelError";
  readonly code: TunnelCode;

  constructor(code: TunnelCode) {
    super(reasons[code]);
    this.code = code;
  }
}

export interface TunnelTarget {
  /** Name, or address without brackets. */
  host: string;
  port: number;
  allowPrivate: boolean;
}

export const tunnelTargetOf = (url: URL, allowPrivate: boolean): TunnelTarget => ({
  host: url.hostname.replace(/^\[|\]$/g, ""),
  port: portOf(url),
  allowPrivate,
});

export interface OpeningTunnel {
  /** Gives up; `done` is not called. */
  destroy(): void;
}

const maxHeadLength = 16_384;
const keepAliveMs = 60_000;

function codeOf(status: number): TunnelCode | null {
  if (status >= 200 && status < 300) return null;
  if (status === 407) return "ESLUICEPROXYAUTH";
  return status >= 502 && status <= 504 ? "ESLUICEPROXYNOROUTE" : "ESLUICEPROXYREFUSED";
}

function requestOf({ authorization }: EgressProxy, { host, port }: TunnelTarget): string {
  const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const credentials = authorization === null ? "" : `proxy-authorization: ${authorization}\r\n`;
  return `CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n${credentials}\r\n`;
}

function socketTo({ secure, host, port }: EgressProxy): Socket {
  const common = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs };
  return secure
    ? connectSecure({ ...common, ...(isIP(host) === 0 ? { servername: host } : {}), ALPNProtocols: ["http/1.1"] })
    : connectPlain(common);
}

/** The answer's head, as far as it has arrived. `undefined`: more is to come. Nothing may follow the head. */
function judge(arrived: Buffer): TunnelCode | null | undefined {
  const end = arrived.indexOf("\r\n\r\n");
  if (end < 0) return arrived.length > maxHeadLength ? "ESLUICEPROXYBROKE" : undefined;
  const status = /^HTTP\/1\.[01] (\d{3})(?: |\r\n)/.exec(arrived.toString("latin1", 0, 64))?.[1];
  if (status === undefined) return "ESLUICEPROXYBROKE";
  const code = codeOf(Number(status));
  // The far side of a tunnel speaks only when it is spoken to.
  return code === null && arrived.length > end + 4 ? "ESLUICEPROXYBROKE" : code;
}

function shakeHands(proxy: EgressProxy, target: TunnelTarget, done: Done): Socket {
  const socket = socketTo(proxy);
  let connected = false;
  let arrived: Buffer = Buffer.alloc(0);
  const settle = (code: TunnelCode | null): void => {
    socket.off("data", read).off("error", broken).off("close", closed);
    socket.pause();
    if (code === null) {
      done(null, socket);
      return;
    }
    socket.on("error", () => undefined).destroy();
    done(new TunnelError(code));
  };
  const read = (bytes: Buffer): void => {
    arrived = Buffer.concat([arrived, bytes]);
    const code = judge(arrived);
    if (code !== undefined) settle(code);
  };
  const closed = (): void => settle(connected ? "ESLUICEPROXYBROKE" : "ESLUICEPROXYUNREACHABLE");
  // What is wrong follows as `close`.
  const broken = (): void => undefined;
  socket.once(proxy.secure ? "secureConnect" : "connect", () => {
    connected = true;
    socket.write(requestOf(proxy, target));
  });
  socket
    .on("data", read)
    .on("error", broken)
    .on("end", () => socket.destroy())
    .on("close", closed);
  return socket;
}

type Done = (error: Error | null, socket?: Socket) => void;

/**
 * `done` is called once, with a connected socket on which nothing was read beyond the proxy's answer.
 *
 * The proxy resolves names, so only its own rules can bind the connection to an address. What can be known here is
 * checked here: an address in the URL, and the addresses that a name has for us, if it has any.
 */
export function openTunnel(proxy: EgressProxy, target: TunnelTarget, done: Done): OpeningTunnel {
  let socket: Socket | null = null;
  let over = false;
  const finish: Done = (error, tunnel) => {
    if (over) return;
    over = true;
    done(error, tunnel);
  };
  const refused = (): void =>
    finish(new DestinationRefusedError(`${target.host} leads to an address that is not allowed`));
  const begin = (forbidden: boolean): void => {
    if (over) return;
    if (forbidden) refused();
    else socket = shakeHands(proxy, target, finish);
  };
  if (isIP(target.host) === 0) void proxy.names.forbids(target.host, target.allowPrivate).then(begin);
  else if (addressAllowed(target.host, target.allowPrivate)) begin(false);
  else process.nextTick(refused);
  return {
    destroy() {
      over = true;
      socket?.on("error", () => undefined).destroy();
    },
  };
}

/** A connection to a URL through the egress proxy, TLS included; null if the URL is reached directly. */
export async function tunnelThrough(
  egress: Egress,
  url: URL,
  tls: ConnectionOptions,
  signal: AbortSignal,
): Promise<Socket | null> {
  const proxy = egress.proxyFor(url);
  if (proxy === null) return null;
  const target = tunnelTargetOf(url, true);
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const opening = openTunnel(proxy, target, (error, tunnel) => {
    if (tunnel === undefined) reject(error);
    else resolve(tunnel);
  });
  const abort = (): void => {
    opening.destroy();
    reject(signal.reason);
  };
  signal.addEventListener("abort", abort, { once: true });
  const tunnel = await promise.finally(() => signal.removeEventListener("abort", abort));
  if (url.protocol !== "https:") return tunnel;
  const servername = isIP(target.host) === 0 ? { servername: target.host } : {};
  const socket = connectSecure({ socket: tunnel, host: target.host, ...servername, ...tls });
  socket.once("close", () => tunnel.destroy());
  return socket;
}
