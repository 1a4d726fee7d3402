/** Clients' connections over HTTP/1.1, on the sockets of node:net and node:tls. */
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createSecureServer, type Server as SecureServer } from "node:tls";
import type { ExchangeHandler, ServerTimes, TrafficListener } from "../client-exchange.ts";
import { IndexedSet } from "../indexed-set.ts";
import { answerPlainHttp } from "../plain-http.ts";
import type { TlsMaterial } from "../tls.ts";
import { ClientWire } from "./connection.ts";

/** How often the time limits of connections are checked. */
const lookMs = 1_000;

/**
 * Reading from the provider pauses once a client has more than this still to receive. One turn of the event loop may
 * add what it reads on top. Connections with TLS keep Node's 64 KiB, for which there is no setting.
 */
const maxUnsentBytes = 16_384;

/** `tls`: null for plain HTTP. */
export function http1Listener(tls: TlsMaterial | null, times: ServerTimes, handler: ExchangeHandler): TrafficListener {
  const wires = new IndexedSet<ClientWire>();
  /** All connections, including those in a TLS handshake. */
  const sockets = new Set<Socket>();
  const take = (socket: Socket): void => {
    const wire = new ClientWire(socket, handler, times);
    wires.add(wire);
    socket.once("close", () => {
      wires.delete(wire);
      wire.closed();
    });
  };
  const options = {
    noDelay: true,
    highWaterMark: maxUnsentBytes,
    // A complete answer may take minutes, during which nothing moves on its connection.
    keepAlive: true,
    keepAliveInitialDelay: times.tcpKeepAliveMs,
  };
  let secure: SecureServer | null = null;
  let server: Server;
  if (tls === null) server = createServer(options, take);
  else {
    secure = createSecureServer({ ...options, ALPNProtocols: ["http/1.1"], ...tls.options }, take);
    answerPlainHttp(secure, () => handler.refusal("plain_http"));
    secure.on("tlsClientError", (_error, socket) => socket.destroy());
    server = secure;
  }
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  const looking = setInterval(() => {
    const nowMs = performance.now();
    for (const wire of wires) if (wire.place >= 0) wire.look(nowMs);
  }, lookMs).unref();
  return {
    server,
    secure,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          clearInterval(looking);
          resolve();
        });
      }),
    cutAll() {
      for (const wire of wires) wire.socket.destroy();
      for (const socket of sockets) socket.destroy();
    },
  };
}
