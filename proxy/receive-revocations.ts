/**
 * Status port: takes revocations from the operator at once, which a mounted volume shows a moment later. `guardStatus`
 * lets nobody else in.
 */
import type { FastifyInstance } from "fastify";
import { maxRevocations } from "./config/revocations.ts";
import type { Current } from "./snapshot/current.ts";

export const revocationsPath = "/revocations";
/** A digest in quotes and a comma, with room to spare. */
const bytesOfEach = 70;

export function receiveRevocations(app: FastifyInstance, current: Current): void {
  const bodyLimit = maxRevocations * bytesOfEach;
  app.put<{ Body: unknown }>(revocationsPath, { bodyLimit }, async ({ body }, reply) => {
    const problem = current.revoke(JSON.stringify(body));
    return problem === null ? { revocations: current.revocations() } : reply.code(400).send({ message: problem });
  });
}
