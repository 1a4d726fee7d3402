/** How the two listeners start, where they can be reached, and how they stop without cutting calls off. */
import type { AddressInfo, Server } from "node:net";
import { Server as SecureServer } from "node:tls";
import { onHost } from "./config/listen-host.ts";

/**
 * Backlog of connections waiting to be accepted. Node's default of 511 is too small when many callers reconnect at
 * once: Linux resets connections that find no room for some seconds. The kernel caps the value at its somaxconn.
 */
export const backlog = 4_096;

const bind =
  (server: Server, port: number) =>
  (host: string): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port, backlog }, () => {
        server.off("error", reject);
        resolve();
      });
    });

/** Resolves to the URL. `start`: for a framework that needs preparation before its server listens. */
export async function listen(
  server: Server,
  host: string,
  port: number,
  start: (host: string) => Promise<unknown> = bind(server, port),
): Promise<string> {
  await onHost(host, start);
  return urlOf(server instanceof SecureServer ? "https" : "http", server.address() as AddressInfo);
}

/** Returns the listener's URL on this machine. */
export function urlOf(scheme: "http" | "https", { address, port }: AddressInfo): string {
  const host = address === "0.0.0.0" || address === "::" ? "127.0.0.1" : address;
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
