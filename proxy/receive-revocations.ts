/**
 * Status port: takes revocations from the operator at once, which a mounted volume shows a moment later. `guardStatus`
 * lets nobody else in.
 */
import type { FastifyInstance } from "fastify";
import { maxRevocations } from "./config/revocations.ts";
import type { Current } from "./snapshot/current.ts";

const leadersPath = "/revocations";
const standbysPath = "/revocations/standby";
/** Paths that only the operator may use. */
export const revocationPaths: ReadonlySet<string> = new Set([leadersPath, standbysPath]);
/** A digest in quotes and a comma, with room to spare. */
const bytesOfEach = 70;

export function receiveRevocations(app: FastifyInstance, current: Current): void {
  const bodyLimit = maxRevocations * bytesOfEach;
  const receive = (path: string, take: (text: string) => string | null): void => {
    app.put<{ Body: unknown }>(path, { bodyLimit }, async ({ body }, reply) => {
      const problem = take(JSON.stringify(body));
      return problem === null ? { revocations: current.revocations() } : reply.code(400).send({ message: problem });
    });
  };
  receive(leadersPath, (text) => current.revoke(text));
  receive(standbysPath, (text) => current.revokeForStandby(text));
}
