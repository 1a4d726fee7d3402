/**
 * client-node 2.0 makes a new connection pool, and so a new TLS connection, for each request, and waits for a response
 * as long as undici does: five minutes. Here one pool serves all requests, and a call that hangs is aborted. All
 * requests share one HTTP/2 connection. If a NAT or a load balancer drops it silently, aborted calls leave it in place,
 * and the next ones hang as well. So if nothing arrived while a call ran into its timeout, the pool is replaced by a
 * new one, watches included.
 */
import { isDeepStrictEqual } from "node:util";
import { KubeConfig, type RequestContext } from "@kubernetes/client-node";

type Dispatch = (options: object, handler: object) => boolean;
interface Dispatcher {
  compose(interceptor: (dispatch: Dispatch) => Dispatch): Dispatcher;
  destroy(cause: Error): Promise<void>;
}
type CreateDispatcher = (cluster: unknown, agentOptions: object) => Dispatcher;

const defaultCallTimeoutMs = 10_000;
/** Callbacks of a request that show that the server sent something. */
const signs: ReadonlySet<string | symbol> = new Set(["onResponseStart", "onResponseData", "onResponseEnd"]);

/** `arrived` gets the status code at the start of a response, else undefined. */
function noticing(handler: object, arrived: (status: unknown) => void): object {
  return new Proxy(handler, {
    get(target, name, receiver) {
      const member: unknown = Reflect.get(target, name, receiver);
      if (!signs.has(name) || typeof member !== "function") return member;
      return (...args: unknown[]): unknown => {
        arrived(name === "onResponseStart" ? args[1] : undefined);
        return Reflect.apply(member, target, args);
      };
    },
  });
}

export class PooledKubeConfig extends KubeConfig {
  readonly #callTimeoutMs: number;
  #kept: { cluster: unknown; agentOptions: object; dispatcher: Dispatcher; sinceMs: number } | null = null;
  #arrivedMs = performance.now();
  #forbidden: () => void = () => undefined;

  constructor(callTimeoutMs = defaultCallTimeoutMs) {
    super();
    this.#callTimeoutMs = callTimeoutMs;
    // Private in its types, but called through `this` by API calls and watches alike.
    const open = this as unknown as { createDispatcher: CreateDispatcher };
    const create = open.createDispatcher.bind(this);
    open.createDispatcher = (cluster, agentOptions) => {
      const kept = this.#kept;
      // A rotated client certificate needs a new pool.
      if (kept !== null && kept.cluster === cluster && isDeepStrictEqual(kept.agentOptions, agentOptions))
        return kept.dispatcher;
      const arrived = (status: unknown): void => {
        this.#arrivedMs = performance.now();
        if (status === 403) this.#forbidden();
      };
      const dispatcher = create(cluster, agentOptions).compose(
        (dispatch) => (options, handler) => dispatch(options, noticing(handler, arrived)),
      );
      this.#kept = { cluster, agentOptions, dispatcher, sinceMs: performance.now() };
      return dispatcher;
    };
  }

  /** Calls `listener` whenever a request was refused with 403. */
  onForbidden(listener: () => void): void {
    this.#forbidden = listener;
  }

  /** How long the API server has sent nothing. */
  silentMs(): number {
    return performance.now() - this.#arrivedMs;
  }

  /** Watches take headers and pool from the context but not the signal, so the timeout applies to calls only. */
  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context);
    const signal = AbortSignal.timeout(this.#callTimeoutMs);
    signal.addEventListener("abort", () => this.#replaceIfSilent(), { once: true });
    context.setSignal(signal);
  }

  #replaceIfSilent(): void {
    if (this.#kept === null) return;
    const { dispatcher, sinceMs } = this.#kept;
    // A new pool has the same time as the one before.
    if (performance.now() - Math.max(sinceMs, this.#arrivedMs) < this.#callTimeoutMs) return;
    this.#kept = null;
    void dispatcher.destroy(new Error("the connection to the API server is silent")).catch(() => undefined);
  }
}
