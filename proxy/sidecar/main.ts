/** `sluice sidecar`: the gateway on loopback, with the identity of the Pod's ServiceAccount. The Pod needs no key. */
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onHost } from "../config/listen-host.ts";
import { backlog, urlOf } from "../listening.ts";
import { createLogger, type Logger } from "../telemetry/log.ts";
import { FleetAuthority } from "./authority.ts";
import { Fleet, type Resolve } from "./fleet.ts";
import { Relay } from "./relay.ts";
import { parseSidecarSettings, type SidecarSettings, sidecarUsage } from "./settings.ts";
import { ProjectedToken } from "./token.ts";

export interface RunningSidecar {
  url: string;
  statusUrl: string;
  /** Stops listening, lets running calls finish within the drain time, then cuts the rest. */
  close(): Promise<void>;
}

async function listen(server: Server, host: string, port: number): Promise<string> {
  const bind = (address: string): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once("error", reject).listen(port, address, backlog, () => {
        server.off("error", reject);
        resolve();
      });
    });
  await onHost(host, bind);
  return urlOf("http", server.address() as AddressInfo);
}

function statusServer(token: ProjectedToken): Server {
  return createServer((request, response) => {
    const live = request.url === "/livez";
    const known = live || request.url === "/readyz";
    void (live ? Promise.resolve("") : token.current()).then((found) => {
      response.writeHead(!known ? 404 : found === null ? 503 : 200, { "content-type": "text/plain" });
      response.end(!known ? "" : found === null ? "no token yet" : "ok");
    });
  });
}

const idleLookMs = 20;
const strayLooks = 10;

export async function startSidecar(settings: SidecarSettings, log: Logger, resolve?: Resolve): Promise<RunningSidecar> {
  const token = new ProjectedToken(settings.tokenFile, Date.now);
  const rejected = (cause: unknown): void =>
    log.error({ err: String(cause) }, "new certificates in --ca-file not used; the last good ones stay");
  const relay = new Relay({
    fleet: new Fleet(settings.fleet, Date.now, resolve),
    token,
    attempts: settings.attempts,
    connectMs: settings.connectMs,
    authority: settings.caFile === null ? null : await FleetAuthority.read(settings.caFile, Date.now, rejected),
    note: (fields, message) => log.warn(fields, message),
  });
  const active = new Set<ServerResponse>();
  const server = createServer({ keepAliveTimeout: 75_000, requestTimeout: 0 }, (request, response) => {
    active.add(response);
    response.on("error", () => undefined).once("close", () => active.delete(response));
    relay.serve(request, response).catch((cause: unknown) => {
      log.error({ err: String(cause) }, "unexpected failure");
      response.destroy();
    });
  });
  const status = statusServer(token);
  const statusUrl = await listen(status, settings.statusHost, settings.statusPort);
  const url = await listen(server, settings.host, settings.port);
  log.info({ url, fleet: settings.fleet }, "relaying");
  return {
    url,
    statusUrl,
    async close() {
      const late = setTimeout(() => server.closeAllConnections(), settings.drainMs);
      const closed = new Promise((done) => server.close(done));
      // Connections become idle one by one as their calls end. Those that never had a call are closed last.
      let quietLooks = 0;
      const idle = setInterval(() => {
        server.closeIdleConnections();
        quietLooks = active.size > 0 ? 0 : quietLooks + 1;
        if (quietLooks > strayLooks) server.closeAllConnections();
      }, idleLookMs);
      server.closeIdleConnections();
      await closed;
      clearTimeout(late);
      clearInterval(idle);
      relay.close();
      await new Promise((done) => {
        status.closeAllConnections();
        status.close(done);
      });
    },
  };
}

export async function runSidecar(args: readonly string[]): Promise<RunningSidecar | null> {
  if (args.includes("--help")) {
    process.stdout.write(`${sidecarUsage}\n`);
    return null;
  }
  const settings = parseSidecarSettings(args, process.env);
  return startSidecar(settings, createLogger(settings.logLevel, "sluice-sidecar"));
}
