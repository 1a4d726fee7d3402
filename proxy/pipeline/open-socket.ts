/** Stage: takes a connection over as a WebSocket, whose responses are then served as calls of their own. */
import { type Failure, failure } from "../failure.ts";
import type { WebSockets } from "../web-sockets/server.ts";
import type { ClientConnection } from "../wire/client.ts";
import { foreign } from "./cors.ts";

/** Stands for GET where the client asks for a WebSocket. */
export const socketMethod = "GET with Upgrade";

const asksForSocket = (client: Pick<ClientConnection, "method" | "header">): boolean =>
  client.method === "GET" && client.header("upgrade")?.trim().toLowerCase() === "websocket";

/** The method by which a request is addressed. */
export const methodOf = (client: Pick<ClientConnection, "method" | "header">): string =>
  asksForSocket(client) ? socketMethod : client.method;

/** 16 bytes in base64 (RFC 6455, section 4.1). */
const key = /^[+/0-9A-Za-z]{22}==$/;

const notServed = failure(
  "upgrade_required",
  "WebSockets are switched off here. Send POST with `stream: true`, which has the same events.",
);
const malformed = failure(
  "invalid_value",
  "This is not a WebSocket handshake of version 13. Use a WebSocket library, or send POST.",
);

/**
 * `webSockets`: null if they are switched off. `owner`: the caller for whom the connection's memory is counted.
 * Browsers open WebSockets without a preflight, so the origin is checked.
 */
export function openSocket(
  client: ClientConnection,
  webSockets: WebSockets | null,
  allowedOrigins: readonly string[],
  owner: string,
): Failure | null {
  if (webSockets === null) return notServed;
  const origin = client.header("origin");
  if (origin !== null && !allowedOrigins.includes(origin)) return foreign;
  if (client.header("sec-websocket-version") !== "13" || !key.test(client.header("sec-websocket-key") ?? ""))
    return malformed;
  return webSockets.refusal(owner) ?? (client.upgrade(owner) ? null : notServed);
}
