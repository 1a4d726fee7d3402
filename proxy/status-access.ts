/**
 * Access control of the status port. Probes and metrics are open to everyone who can reach it. Data on callers,
 * spending and providers needs the installation's token, unless the port listens on loopback only.
 */
import { hash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Registry } from "prom-client";
import type { Denial } from "./audit/denials.ts";
import { operatorTokenHeader, statusTokenHeader } from "./config/status-token.ts";
import { registerCounter } from "./metrics/register.ts";
import { revocationPaths } from "./receive-revocations.ts";

const open: ReadonlySet<string> = new Set(["/livez", "/readyz", "/metrics"]);

/** Whether a listener on this host can be reached only from this machine. */
export const isLoopback = (host: string): boolean => /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(host);

const sha256 = (text: string): Buffer => hash("sha256", text, "buffer");

function given(headers: Readonly<Record<string, string | string[] | undefined>>): string {
  const own = headers[statusTokenHeader];
  if (typeof own === "string") return own;
  return /^Bearer +(\S+)$/i.exec(headers.authorization?.toString() ?? "")?.[1] ?? "";
}

export interface StatusAccess {
  /** The address that the port listens on. */
  host: string;
  /** null until there is a config; until then, only probes and metrics are answered. */
  token(): string | null;
  /** Needed for what only the operator may change, on loopback as well. */
  operatorToken(): string | null;
  registry: Registry;
  /** Receives each refusal. */
  denied(denial: Denial): void;
}

const isSame = (shown: unknown, wanted: string | null): boolean =>
  wanted !== null && typeof shown === "string" && timingSafeEqual(sha256(shown), sha256(wanted));

const pathOf = ({ url }: FastifyRequest): string => url.split("?", 1)[0] ?? "";

export function guardStatus(app: FastifyInstance, access: StatusAccess): void {
  const { host, token, operatorToken, registry, denied } = access;
  const counter = registerCounter(registry, "ai_gateway_status_refused_total");
  const refuse = (request: FastifyRequest, reason: string): void => {
    counter.inc({ reason });
    denied({ what: "status_token", reason, address: request.ip, path: pathOf(request) });
  };
  app.addHook("onRequest", async (request, reply) => {
    if (!revocationPaths.has(request.routeOptions.url ?? "")) return;
    if (isSame(request.headers[operatorTokenHeader], operatorToken())) return;
    refuse(request, "not_operator");
    await reply.code(401).send({ message: "only the operator may send revocations" });
  });
  if (isLoopback(host)) return;
  app.addHook("onRequest", async (request, reply) => {
    if (open.has(pathOf(request))) return;
    const shown = given(request.headers);
    if (shown !== "" && isSame(shown, token())) return;
    refuse(request, shown === "" ? "missing_token" : "wrong_token");
    await reply
      .code(401)
      .header("www-authenticate", "Bearer")
      .send({
        message: `this needs the installation's status token in ${statusTokenHeader} or Authorization: Bearer; it is in the Secret <release>-status-token, key token`,
      });
  });
}
