/** Keep-alive connections to one origin, each with one call at a time. */

import type { Egress } from "../config/egress/egress.ts";
import { UndiciConnection, undiciConnectorOf } from "./connections.ts";
import { connectorOf } from "./http1/connector.ts";
import { Http1Connection } from "./http1/provider-connection.ts";
import { IndexedSet } from "./indexed-set.ts";
import type { ConnectionOwner, ProviderConnection, UpstreamRequest, WireCall, WireHandler } from "./provider-wire.ts";
import type { UpstreamAddress } from "./upstream-address.ts";

/** Own: the gateway's HTTP/1.1. Node: undici's. */
export type Http1Choice = "Own" | "Node";

/** How often idle connections are checked, in milliseconds. */
const lookMs = 1_000;

/** The most recently used connection is reused first, so that surplus connections become idle and are closed. */
export class Connections implements ConnectionOwner {
  readonly #make: () => ProviderConnection;
  readonly #all = new Set<ProviderConnection>();
  readonly #idle = new IndexedSet<ProviderConnection>();
  readonly #looking: NodeJS.Timeout;
  #closed = false;

  constructor(address: UpstreamAddress, http1: Http1Choice, egress: Egress) {
    if (http1 === "Own") {
      const connector = connectorOf(address, egress);
      this.#make = () => new Http1Connection(this, connector, address.writeMs);
    } else {
      const connect = undiciConnectorOf(address, egress);
      this.#make = () => new UndiciConnection(this, address, connect);
    }
    this.#looking = setInterval(() => this.#look(), lookMs).unref();
  }

  /** Sends on an idle connection, or on a new one. */
  send(request: UpstreamRequest, handler: WireHandler): WireCall {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.usable()) return idle.send(request, handler);
      this.#drop(idle);
    }
    return this.again(request, handler);
  }

  again(request: UpstreamRequest, handler: WireHandler): WireCall {
    const made = this.#make();
    this.#all.add(made);
    return made.send(request, handler);
  }

  released(connection: ProviderConnection, reusable: boolean): void {
    if (reusable && !this.#closed) this.#idle.add(connection);
    else this.#drop(connection);
  }

  disconnected(connection: ProviderConnection): void {
    if (connection.place >= 0) this.#idle.delete(connection);
    else if (!this.#all.has(connection)) return;
    this.#drop(connection);
  }

  #look(): void {
    for (const idle of this.#idle) if (idle.place >= 0 && !idle.usable()) this.disconnected(idle);
  }

  #drop(connection: ProviderConnection): void {
    this.#all.delete(connection);
    connection.destroy();
  }

  /** Stops taking calls; those in flight finish. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#looking);
    for (const idle of this.#idle) this.disconnected(idle);
  }

  destroy(): void {
    this.close();
    for (const connection of this.#all) connection.destroy();
  }
}
