/** The operator's status port, for kubelet and Prometheus. */
import fastify, { type FastifyInstance } from "fastify";
import type { OperatorMetrics } from "./metrics.ts";

/**
 * After this time without contact to the API server, a restart may help: the fault may be its address, the network or
 * this process.
 */
const maxSilenceMs = 180_000;

/**
 * `unready`: why the operator can't do its work; "" if it can. `silentMs`: how long the API server has sent nothing. A
 * standby asks for the Lease too, so it notices as well.
 */
export function operatorStatusServer(
  metrics: OperatorMetrics,
  unready: () => string,
  silentMs: () => number,
): FastifyInstance {
  const app = fastify({ logger: false });
  app.get("/livez", async (_request, reply) => {
    if (silentMs() < maxSilenceMs) return "ok";
    reply.code(503);
    return "the API server has sent nothing for 3 minutes";
  });
  app.get("/readyz", async (_request, reply) => {
    const why = unready();
    if (why === "") return "ok";
    reply.code(503);
    return why;
  });
  app.get("/metrics", async (_request, reply) => {
    reply.header("content-type", metrics.registry.contentType);
    return metrics.registry.metrics();
  });
  return app;
}
