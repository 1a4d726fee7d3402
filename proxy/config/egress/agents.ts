/** Agents of node:http and node:https whose connections go through the egress proxy. */
import { type AgentOptions, Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Duplex } from "node:stream";
import type { Egress, EgressProxy } from "./egress.ts";
import { openTunnel, type TunnelTarget, tunnelTargetOf } from "./tunnel.ts";

type Created = (error: Error | null, socket: Duplex) => void;

class TunnelAgent extends HttpAgent {
  readonly #proxy: EgressProxy;
  readonly #target: TunnelTarget;

  constructor(proxy: EgressProxy, target: TunnelTarget, options: AgentOptions) {
    super(options);
    this.#proxy = proxy;
    this.#target = target;
  }

  override createConnection(_options: object, created?: Created): undefined {
    openTunnel(this.#proxy, this.#target, (error, socket) => {
      created?.(error, socket as Duplex);
      // node:http listens for data, which does not resume a socket that was paused.
      socket?.resume();
    });
  }
}

class SecureTunnelAgent extends HttpsAgent {
  readonly #proxy: EgressProxy;
  readonly #target: TunnelTarget;

  constructor(proxy: EgressProxy, target: TunnelTarget, options: AgentOptions) {
    super(options);
    this.#proxy = proxy;
    this.#target = target;
  }

  override createConnection(options: object, created?: Created): undefined {
    openTunnel(this.#proxy, this.#target, (error, tunnel) => {
      if (tunnel === undefined) return created?.(error, tunnel as never);
      const socket = super.createConnection({ ...options, socket: tunnel } as never) as Duplex;
      const failed = (cause: Error): void => created?.(cause, tunnel);
      socket.once("error", failed);
      socket.once("close", () => tunnel.destroy());
      socket.once("secureConnect", () => {
        socket.off("error", failed);
        created?.(null, socket);
      });
    });
  }
}

/** An agent for one origin; null if it is reached directly. */
export function tunnelAgent(
  egress: Egress,
  url: URL,
  allowPrivate: boolean,
  options: AgentOptions = {},
): HttpAgent | null {
  const proxy = egress.proxyFor(url);
  if (proxy === null) return null;
  const target = tunnelTargetOf(url, allowPrivate);
  return url.protocol === "https:"
    ? new SecureTunnelAgent(proxy, target, options)
    : new TunnelAgent(proxy, target, options);
}
