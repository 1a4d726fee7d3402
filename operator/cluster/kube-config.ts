/**
 * client-node 2.0 makes a new connection pool, and so a new TLS connection, for each request, and waits for a response
 * as long as undici does: five minutes. Here one pool serves all requests, and a call that hangs is aborted.
 */
import { isDeepStrictEqual } from "node:util";
import { KubeConfig, type RequestContext } from "@kubernetes/client-node";

type CreateDispatcher = (cluster: unknown, agentOptions: object) => unknown;

const callTimeoutMs = 10_000;

export class PooledKubeConfig extends KubeConfig {
  constructor() {
    super();
    // Private in its types, but called through `this` by API calls and watches alike.
    const open = this as unknown as { createDispatcher: CreateDispatcher };
    const create = open.createDispatcher.bind(this);
    let kept: { cluster: unknown; agentOptions: object; dispatcher: unknown } | null = null;
    open.createDispatcher = (cluster, agentOptions) => {
      // A rotated client certificate needs a new pool.
      if (kept === null || kept.cluster !== cluster || !isDeepStrictEqual(kept.agentOptions, agentOptions))
        kept = { cluster, agentOptions, dispatcher: create(cluster, agentOptions) };
      return kept.dispatcher;
    };
  }

  /** Watches take headers and pool from the context but not the signal, so the timeout applies to calls only. */
  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context);
    context.setSignal(AbortSignal.timeout(callTimeoutMs));
  }
}
