/** The two listeners' beginning and end: where they are reached, and how they stop without cutting calls off. */
import { Server as SecureHttp } from "node:https";
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { onHost } from "./config/listen-host.ts";

/**
 * Connections that wait to be accepted. Node's own 511 are fewer than come at once when a fleet of callers connects
 * anew; Linux resets those that find no room for some seconds. The kernel takes less where its somaxconn is lower.
 */
export const backlog = 4_096;

/** Resolves to the URL. */
export async function listen(app: FastifyInstance, host: string, port: number): Promise<string> {
  await onHost(host, (address) => app.listen({ host: address, port, backlog }));
  const scheme = app.server instanceof SecureHttp ? "https" : "http";
  return urlOf(scheme, app.server.address() as AddressInfo);
}

/** Where a listener is reached on this machine. */
export function urlOf(scheme: "http" | "https", { address, port }: AddressInfo): string {
  const host = address === "0.0.0.0" || address === "::" ? "127.0.0.1" : address;
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
