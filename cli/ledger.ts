/** Reads rows of the usage ledger from proxies, at their status ports or through the API server. */

import { connectCluster, inWords, loadConfig } from "../operator/cluster/api.ts";
import { findStatusPorts, getThroughApiServer, type StatusPort, statusTokenOf } from "../operator/cluster/pod-proxy.ts";
import type { LedgerRow } from "../proxy/config/ledger.ts";
import { statusTokenHeader } from "../proxy/config/status-token.ts";

const timeoutMs = 30_000;

interface Usage {
  instance: string;
  shared: boolean;
  rows: LedgerRow[];
}

/** One proxy's ledger. */
export interface Ledger {
  get(path: string): Promise<unknown>;
  /** Why it could not be read, as a message for the user. */
  failure(why: string): string;
}

/** `token`: the status port's token; "" if the port listens on loopback only. */
export const ledgerAt = (url: string, token = ""): Ledger => ({
  async get(path) {
    const headers: Record<string, string> = token === "" ? {} : { [statusTokenHeader]: token };
    const response = await fetch(new URL(path, url), { headers, signal: AbortSignal.timeout(timeoutMs) });
    if (response.status === 401)
      throw new Error(
        "it asks for the status token: set SLUICE_STATUS_TOKEN to the key token of the Secret <release>-status-token",
      );
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    return response.json();
  },
  failure: (why) =>
    `no ledger at ${url}: ${why}; it is a proxy's status port, 9090. In a cluster --system-namespace finds it`,
});

export interface ClusterPlace {
  kubeconfig: string | null;
  systemNamespace: string;
}

/** Ledgers of an installation's ready proxies. Throws if there are none, or if the user lacks permission. */
export async function ledgersIn({ kubeconfig, systemNamespace }: ClusterPlace): Promise<Ledger[]> {
  const cluster = connectCluster(loadConfig(kubeconfig));
  const ports = await findStatusPorts(cluster, systemNamespace).catch((cause: unknown) => {
    throw new Error(inWords(cause), { cause });
  });
  if (ports.length === 0)
    throw new Error(`namespace ${systemNamespace} has no ready proxy; is Sluice installed there?`);
  const token = await statusTokenOf(cluster, ports[0] as StatusPort).catch((cause: unknown) => {
    throw new Error(inWords(cause), { cause });
  });
  return ports.map((port) => ({
    get: (path) => getThroughApiServer(cluster.config, port, path, token, timeoutMs),
    failure: (why) => `no ledger of Pod ${port.namespace}/${port.pod}: ${why}`,
  }));
}

async function ask(ledger: Ledger, fromMs: number, toMs: number): Promise<Usage> {
  const query = new URLSearchParams({ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() });
  try {
    return (await ledger.get(`/usage?${query}`)) as Usage;
  } catch (cause) {
    throw new Error(ledger.failure(cause instanceof Error ? cause.message : String(cause)), { cause });
  }
}

/** Proxies that share a store return the same rows, so one is enough. Others are added up, each once. */
export async function readLedgers(
  [first, ...rest]: readonly Ledger[],
  fromMs: number,
  toMs: number,
): Promise<LedgerRow[]> {
  if (first === undefined) return [];
  const usage = await ask(first, fromMs, toMs);
  if (usage.shared) return usage.rows;
  const all = [usage, ...(await Promise.all(rest.map((ledger) => ask(ledger, fromMs, toMs))))];
  const shared = all.find((one) => one.shared);
  if (shared) return shared.rows;
  return [...new Map(all.map((one) => [one.instance, one])).values()].flatMap((one) => one.rows);
}
