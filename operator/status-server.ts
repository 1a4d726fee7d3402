/** The operator's status port, for kubelet and Prometheus. */
import fastify, { type FastifyInstance } from "fastify";
import type { OperatorMetrics } from "./metrics.ts";

export function operatorStatusServer(metrics: OperatorMetrics, ready: () => boolean): FastifyInstance {
  const app = fastify({ logger: false });
  app.get("/livez", async () => "ok");
  app.get("/readyz", async (_request, reply) => {
    if (ready()) return "ok";
    reply.code(503);
    return "caches are not filled yet";
  });
  app.get("/metrics", async (_request, reply) => {
    reply.header("content-type", metrics.registry.contentType);
    return metrics.registry.metrics();
  });
  return app;
}
