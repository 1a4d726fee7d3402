/**
 * How a sidecar stops. Answers tell the Pod's containers to reconnect while calls go on; then requests that still come
 * are refused in the caller's format. Streams that last longer than the drain time end with an error event.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { surfaceOf } from "../dialects/surfaces.ts";
import { failure } from "../failure.ts";
import { refuseRelayed } from "./relay.ts";

/** A connection whose call ended a moment ago may be about to send the next one. */
const quietMs = 250;
const lookMs = 20;

const goingDown = failure("draining", "The sidecar is being stopped. Try again.", { retryAfterMs: 1_000 });

export class SidecarDrain {
  readonly #server: Server;
  readonly #active = new Map<ServerResponse, IncomingMessage>();
  #draining = false;
  #refusing = false;
  #quietSinceMs = 0;

  constructor(server: Server) {
    this.#server = server;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Returns whether the request may be relayed; otherwise it has been answered. */
  enter(request: IncomingMessage, response: ServerResponse): boolean {
    this.#active.set(response, request);
    response
      .on("error", () => undefined)
      .once("close", () => {
        this.#active.delete(response);
        this.#quietSinceMs = performance.now();
      });
    if (this.#draining) response.shouldKeepAlive = false;
    if (this.#refusing) refuseRelayed(request, response, goingDown);
    return !this.#refusing;
  }

  /** Resolves when all connections are closed, after `drainMs` at the latest. */
  async run(drainMs: number): Promise<void> {
    const endMs = performance.now() + drainMs;
    this.#draining = true;
    this.#quietSinceMs = performance.now();
    for (const response of this.#active.keys()) if (!response.headersSent) response.shouldKeepAlive = false;
    await this.#quiet(Math.min(endMs, performance.now() + drainMs / 2));
    this.#refusing = true;
    const late = setTimeout(() => this.#cut(), Math.max(0, endMs - performance.now()));
    const closed = new Promise((done) => this.#server.close(done));
    await this.#quiet(endMs);
    this.#server.closeAllConnections();
    await closed;
    clearTimeout(late);
  }

  /** Waits until no call has been under way for a moment. */
  #quiet(untilMs: number): Promise<void> {
    return new Promise((resolve) => {
      const look = setInterval(() => {
        const nowMs = performance.now();
        const isQuiet = this.#active.size === 0 && nowMs - this.#quietSinceMs >= quietMs;
        if (!isQuiet && nowMs < untilMs) return;
        clearInterval(look);
        resolve();
      }, lookMs);
    });
  }

  #cut(): void {
    for (const [response, request] of this.#active) {
      const type = String(response.getHeader("content-type") ?? "");
      if (!response.headersSent) refuseRelayed(request, response, goingDown);
      else if (type.includes("event-stream")) response.end(surfaceOf(request.url ?? "").streamError(goingDown, ""));
      else response.destroy();
    }
  }
}
