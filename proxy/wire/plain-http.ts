/**
 * A client that speaks plain HTTP to the TLS port. Node would close its connection silently, which looks like a network
 * problem. Like other servers, this one answers in plain HTTP.
 */
import type { Socket } from "node:net";
import type { Server as SecureServer, TLSSocket } from "node:tls";

const addressOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

export function answerPlainHttp(server: SecureServer, answer: () => string): void {
  /** The TCP connections below those with TLS, while the handshake runs. */
  const below = new Map<string, Socket>();
  server.on("connection", (socket: Socket) => {
    const address = addressOf(socket);
    below.set(address, socket);
    socket.once("close", () => {
      if (below.get(address) === socket) below.delete(address);
    });
  });
  server.on("secureConnection", (socket: TLSSocket) => void below.delete(addressOf(socket)));
  server.on("tlsClientError", (error: { code?: string }, socket: TLSSocket) => {
    if (error.code === "ERR_SSL_HTTP_REQUEST") below.get(addressOf(socket))?.end(answer());
  });
}
