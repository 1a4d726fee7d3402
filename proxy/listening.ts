/** The two listeners' beginning and end: where they are reached, and how they stop without cutting calls off. */
import { Server as SecureHttp } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { onHost } from "./config/listen-host.ts";

/**
 * Connections that wait to be accepted. Node's own 511 are fewer than come at once when a fleet of callers connects
 * anew; Linux resets those that find no room for some seconds. The kernel takes less where its somaxconn is lower.
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

/** Resolves to the URL. `start`: for a framework that has to prepare itself before its server listens. */
export async function listen(
  server: Server,
  host: string,
  port: number,
  start: (host: string) => Promise<unknown> = bind(server, port),
): Promise<string> {
  await onHost(host, start);
  return urlOf(server instanceof SecureHttp ? "https" : "http", server.address() as AddressInfo);
}

/** Where a listener is reached on this machine. */
export function urlOf(scheme: "http" | "https", { address, port }: AddressInfo): string {
  const host = address === "0.0.0.0" || address === "::" ? "127.0.0.1" : address;
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
