import { type ProxyStatus, parseProxyStatus } from "../operator/cluster/proxy-status.ts";
import { consolePath } from "../operator/console/assets.ts";
import { openGate } from "../operator/console/gate.ts";
import { serveConsole } from "../operator/console/server.ts";
import type { ConsoleSource } from "../operator/console/source.ts";
import { installation, readInstallation } from "../operator/settings/installation.ts";
import { statusTokenHeader } from "../proxy/config/status-token.ts";
import { type RunningProxy, startProxy } from "../proxy/main.ts";
import { parseProxySettings } from "../proxy/settings.ts";
import { isLoopback } from "../proxy/status-access.ts";
import type { Logger } from "../proxy/telemetry/log.ts";
import { UsageError } from "../proxy/usage-error.ts";
import { divide, takeFlag } from "./dev-arguments.ts";
import { FolderConfig } from "./folder-config.ts";

export const devUsage = `sluice dev FOLDER…: serve a folder of manifests, without a cluster

Reads LLMProvider, RoutingPolicy, Budget, ApiKey, Secret and Namespace objects from *.yaml, *.yml and *.json.
\${NAME} and \${NAME:-fallback} in a Secret's stringData are filled in from the environment. A saved change takes
effect at once; a mistake is printed with file and line, and the last good form stays in use.

  --port N          port for traffic (default 8080; 0 picks one)
  --status-port N   probes, metrics, status (default 9090)
  --host ADDRESS    listen on (default 127.0.0.1)
  --settings FILE   settings of a cluster's operator: origins, identity, cors (docs/access.md)
  --log-level LEVEL (default info)

Options of sluice proxy work too, such as --audit-dir, --state-url and --country-database.`;

export interface RunningDev {
  proxy: RunningProxy;
  close(patient?: boolean): Promise<void>;
}

const judgeEveryMs = 1_000;

type StatusPort = Pick<RunningProxy, "statusUrl" | "current">;

async function askStatusPort({ statusUrl, current }: StatusPort, path: string): Promise<unknown> {
  const headers = { [statusTokenHeader]: current.snapshot()?.statusToken ?? "" };
  return (await fetch(`${statusUrl}${path}`, { headers })).json();
}

/** What the proxy reports; null if it doesn't answer, as during shutdown. */
async function statusOfProxy(proxy: StatusPort): Promise<ProxyStatus | null> {
  try {
    return parseProxyStatus(await askStatusPort(proxy, "/status"));
  } catch {
    return null;
  }
}

/** The folder and its only proxy, as the console's source. `proxy` returns null until it runs. */
function consoleSource(source: FolderConfig, proxy: () => StatusPort | null): ConsoleSource {
  return {
    async read() {
      const running = proxy();
      const status = running === null ? null : await statusOfProxy(running);
      return source.published(status === null ? [] : [status.providers], [status?.revision ?? null]);
    },
    proxies() {
      const running = proxy();
      const ports = running === null ? [] : [{ name: "dev", get: (path: string) => askStatusPort(running, path) }];
      return Promise.resolve(ports);
    },
  };
}

/** `log` replaces the process's own log. */
export async function startDev(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  print: (line: string) => void,
  log?: Logger,
): Promise<RunningDev> {
  const { paths, flags } = divide(args);
  const settingsFile = takeFlag(flags, "settings");
  const settings = parseProxySettings(flags, { SLUICE_HOST: "127.0.0.1", SLUICE_STATUS_HOST: "127.0.0.1", ...env });
  if (paths.length === 0)
    throw new UsageError("name at least one folder of manifests, such as examples/quickstart/policies");
  const given = settingsFile === null ? installation.parse({}) : await readInstallation(settingsFile);
  const source = new FolderConfig(paths, env, print, {
    ...given,
    countryDatabase: given.countryDatabase || settings.countryDatabase !== "",
    durableAudit: settings.auditDir !== "" || settings.auditRedis,
  });
  await source.reload();
  const local = isLoopback(settings.statusHost);
  let running: RunningProxy | null = null;
  const proxy = await startProxy({
    settings,
    env,
    source,
    ...(log ? { log } : {}),
    // The console has no login here, so it serves this machine only.
    extendStatus: (app) =>
      local &&
      serveConsole(app, {
        source: consoleSource(source, () => running),
        gate: openGate,
        nowMs: Date.now,
        failed: (cause) => print(`console: ${cause instanceof Error ? cause.message : String(cause)}`),
      }),
  });
  running = proxy;
  print(`serving on ${proxy.trafficUrl}, status on ${proxy.statusUrl}`);
  if (local) print(`console: ${proxy.statusUrl}${consolePath}`);
  const token = proxy.current.snapshot()?.statusToken;
  if (!local && token !== undefined)
    print(`the status port asks for its token, but for probes and metrics: ${statusTokenHeader}: ${token}`);
  const judging = setInterval(() => {
    if (source.learns()) void statusOfProxy(proxy).then((status) => status !== null && source.learn(status));
  }, judgeEveryMs).unref();
  return {
    proxy,
    close(patient) {
      clearInterval(judging);
      return proxy.close(patient);
    },
  };
}

export async function runDev(args: readonly string[]): Promise<RunningDev | null> {
  if (args.includes("--help")) {
    process.stdout.write(`${devUsage}\n`);
    return null;
  }
  return startDev(args, process.env, (line) => process.stderr.write(`${line}\n`));
}
