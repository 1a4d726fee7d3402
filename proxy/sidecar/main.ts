/** `sluice sidecar`: the gateway on loopback, with the identity of the Pod's ServiceAccount. The Pod needs no key. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { steadyNowMs } from "../clock.ts";
import { directEgress, type Egress, egressOf } from "../config/egress/egress.ts";
import { onHost } from "../config/listen-host.ts";
import { backlog, urlOf } from "../listening.ts";
import { createLogger, type Logger } from "../telemetry/log.ts";
import { FleetAuthority } from "./authority.ts";
import { SidecarDrain } from "./drain.ts";
import { Fleet, type Resolve } from "./fleet.ts";
import { Relay } from "./relay.ts";
import { parseSidecarSettings, type SidecarSettings, sidecarUsage } from "./settings.ts";
import { ProjectedToken } from "./token.ts";

export interface RunningSidecar {
  url: string;
  statusUrl: string;
  /** Lets calls finish within the drain time while callers are asked to reconnect, then cuts the rest. */
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

/** Why the sidecar isn't ready; null if it is. */
async function unready(token: ProjectedToken, draining: boolean): Promise<string | null> {
  if (draining) return "draining";
  return (await token.current()) === null ? "no token yet" : null;
}

function statusServer(token: ProjectedToken, draining: () => boolean): Server {
  return createServer((request, response) => {
    const live = request.url === "/livez";
    const known = live || request.url === "/readyz";
    void (live ? Promise.resolve(null) : unready(token, draining())).then((why) => {
      response.writeHead(!known ? 404 : why === null ? 200 : 503, { "content-type": "text/plain" });
      response.end(!known ? "" : (why ?? "ok"));
    });
  });
}

export async function startSidecar(
  settings: SidecarSettings,
  log: Logger,
  resolve?: Resolve,
  egress: Egress = directEgress,
): Promise<RunningSidecar> {
  const token = new ProjectedToken(settings.tokenFile, steadyNowMs);
  const rejected = (cause: unknown): void =>
    log.error({ err: String(cause) }, "new certificates in --ca-file rejected; the last good ones stay in use");
  const relay = new Relay({
    fleet: new Fleet(settings.fleet, steadyNowMs, resolve, (url) => egress.proxyFor(url) !== null),
    egress,
    token,
    attempts: settings.attempts,
    connectMs: settings.connectMs,
    authority: settings.caFile === null ? null : await FleetAuthority.read(settings.caFile, steadyNowMs, rejected),
    note: (fields, message) => log.warn(fields, message),
  });
  const server = createServer({ keepAliveTimeout: 75_000, requestTimeout: 0 });
  const drain = new SidecarDrain(server);
  server.on("request", (request, response) => {
    if (!drain.enter(request, response)) return;
    relay.serve(request, response).catch((cause: unknown) => {
      log.error({ err: String(cause) }, "unexpected failure");
      response.destroy();
    });
  });
  const status = statusServer(token, () => drain.draining);
  const statusUrl = await listen(status, settings.statusHost, settings.statusPort);
  const url = await listen(server, settings.host, settings.port);
  log.info({ url, fleet: settings.fleet }, "relaying");
  return {
    url,
    statusUrl,
    async close() {
      await drain.run(settings.drainMs);
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
  const log = createLogger(settings.logLevel, "sluice-sidecar");
  return startSidecar(settings, log, undefined, egressOf(process.env));
}
