/** `sluice operator`: runs the control plane until it is stopped. */

import { onHost } from "../proxy/config/listen-host.ts";
import { loadConfig } from "./cluster/api.ts";
import type { PooledKubeConfig } from "./cluster/kube-config.ts";
import { startConsole } from "./console/start.ts";
import { Operator } from "./operator.ts";
import { type OperatorSettings, operatorUsage, parseOperatorArguments } from "./settings/settings.ts";
import { operatorStatusServer } from "./status-server.ts";

export interface RunningOperator {
  statusUrl: string;
  consoleUrl: string | null;
  leading(): boolean;
  stop(): Promise<void>;
}

export async function startOperator(settings: OperatorSettings, config: PooledKubeConfig): Promise<RunningOperator> {
  const operator = new Operator(settings, config);
  const { cluster, log, metrics, source } = operator;
  const status = operatorStatusServer(
    metrics,
    () => operator.unready(),
    () => config.silentMs(),
  );
  await onHost(settings.statusHost, (host) => status.listen({ host, port: settings.statusPort }));
  const statusUrl = status.listeningOrigin;
  const shown = await startConsole(
    settings,
    cluster,
    source,
    operator.failures.warn("the console could not read its data"),
  );
  log.info({ status: statusUrl, ...(shown === null ? {} : { console: shown.url }) }, "operator running");
  return {
    statusUrl,
    consoleUrl: shown?.url ?? null,
    leading: () => operator.leading(),
    async stop() {
      await operator.stop();
      await shown?.close();
      await status.close();
    },
  };
}

export async function runOperator(args: readonly string[]): Promise<{ close(): Promise<void> } | null> {
  if (args.includes("--help")) {
    process.stdout.write(`${operatorUsage}\n`);
    return null;
  }
  const { settings, kubeconfig } = await parseOperatorArguments(args);
  const operator = await startOperator(settings, loadConfig(kubeconfig));
  return {
    async close() {
      await operator.stop();
      process.exit(0);
    },
  };
}
