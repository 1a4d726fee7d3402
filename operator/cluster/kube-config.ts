/**
 * client-node 2.0 makes a new connection pool, and so a new TLS connection, for each request, and waits for an answer as
 * long as undici does, five minutes. Here one pool serves all, and a call that hangs is given up.
 */
import { isDeepStrictEqual } from "node:util";
import { KubeConfig, type RequestContext } from "@kubernetes/client-node";

type CreateDispatcher = (cluster: unknown, agentOptions: object) => unknown;

const callTimeoutMs = 10_000;

export class PooledKubeConfig extends KubeConfig {
  constructor() {
    super();
    // Private in its types, and called through `this` for API calls and watches alike.
    const open = this as unknown as { createDispatcher: CreateDispatcher };
    const create = open.createDispatcher.bind(this);
    let kept: { cluster: unknown; agentOptions: object; dispatcher: unknown } | null = null;
    open.createDispatcher = (cluster, agentOptions) => {
      // Another certificate, when it is rotated, needs another pool.
      if (kept === null || kept.cluster !== cluster || !isDeepStrictEqual(kept.agentOptions, agentOptions))
        kept = { cluster, agentOptions, dispatcher: create(cluster, agentOptions) };
      return kept.dispatcher;
    };
  }

  /** Watches take headers and pool from the context, and not the signal, so only calls are cut. */
  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context);
    context.setSignal(AbortSignal.timeout(callTimeoutMs));
  }
}
