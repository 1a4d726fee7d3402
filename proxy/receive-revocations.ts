/** Status port: takes revocations from the operator at once, which a mounted volume shows a moment later. */
import { hash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { mostRevocations } from "./config/revocations.ts";
import { operatorTokenHeader } from "./config/status-token.ts";
import type { Current } from "./snapshot/current.ts";

const sha256 = (text: string): Buffer => hash("sha256", text, "buffer");
const bytesOfOne = 70;

export function receiveRevocations(app: FastifyInstance, current: Current): void {
  app.put<{ Body: unknown }>(
    "/revocations",
    { bodyLimit: mostRevocations * bytesOfOne },
    async ({ headers, body }, reply) => {
      const wanted = current.snapshot()?.operatorToken;
      const shown = headers[operatorTokenHeader];
      if (wanted === undefined || typeof shown !== "string" || !timingSafeEqual(sha256(shown), sha256(wanted)))
        return reply.code(401).send({ message: "only the operator may send revocations" });
      const problem = current.revoke(JSON.stringify(body));
      return problem === null ? { revocations: current.revocations() } : reply.code(400).send({ message: problem });
    },
  );
}
