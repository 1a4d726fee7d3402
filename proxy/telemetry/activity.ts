/** `/requests` on the status port: recent calls and the last hour's traffic, for the console. */
import { randomUUID } from "node:crypto";
import type { FastifyInstance } from "fastify";
import type { Activity } from "../config/activity.ts";
import type { RecentCalls } from "./recent-calls.ts";
import type { TrafficTally } from "./traffic.ts";

export function serveActivity(app: FastifyInstance, recent: RecentCalls, traffic: TrafficTally): void {
  const instance = randomUUID();
  const startedMs = Date.now();
  app.get<{ Querystring: { limit?: string } }>("/requests", async ({ query }, reply): Promise<Activity | object> => {
    const limit = query.limit ?? "200";
    if (!/^\d{1,3}$/.test(limit)) return reply.code(400).send({ message: "limit must be a number below 1000" });
    return { instance, startedMs, calls: recent.read(Number(limit)), ...traffic.read() };
  });
}
