/** Reads the usage ledger from proxies and renames users in it, at their status ports or through the API server. */

import { connectCluster, inWords, loadConfig } from "../operator/cluster/api.ts";
import { askThroughApiServer, findStatusPorts, type StatusPort, statusTokenOf } from "../operator/cluster/pod-proxy.ts";
import type { LedgerRow } from "../proxy/config/ledger.ts";
import type { LedgerReading } from "../proxy/config/ledger-reading.ts";
import { statusTokenHeader } from "../proxy/config/status-token.ts";
import type { Currency, KeyFacts } from "../proxy/config/usage-report.ts";
import { egressFetch } from "./egress-fetch.ts";

const timeoutMs = 30_000;

/** One proxy's ledger. */
export interface Ledger {
  /** A GET, or a POST of `body`. */
  ask(path: string, body?: unknown): Promise<unknown>;
  /** Why it could not be reached, as a message for the user. */
  failure(why: string): string;
}

/** `token`: the status port's token; "" if the port listens on loopback only. */
export const ledgerAt = (url: string, token = ""): Ledger => ({
  async ask(path, body) {
    const headers: Record<string, string> = token === "" ? {} : { [statusTokenHeader]: token };
    const post = { method: "POST", body: JSON.stringify(body) };
    if (body !== undefined) headers["content-type"] = "application/json";
    const response = await egressFetch(new URL(path, url), {
      ...(body === undefined ? {} : post),
      headers,
      signal: AbortSignal.timeout(timeoutMs),
    });
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
    ask: (path, body) =>
      askThroughApiServer(cluster.config, port, { path, token, timeoutMs, ...(body === undefined ? {} : { body }) }),
    failure: (why) => `no ledger of Pod ${port.namespace}/${port.pod}: ${why}`,
  }));
}

const failed = (ledger: Ledger, cause: unknown): Error =>
  new Error(ledger.failure(cause instanceof Error ? cause.message : String(cause)), { cause });

/** A span of time. `facts`: whether to read tags and labels of keys as well. */
export interface AskedSpan {
  fromMs: number;
  toMs: number;
  facts: boolean;
}

async function read(ledger: Ledger, { fromMs, toMs, facts }: AskedSpan): Promise<LedgerReading> {
  const query = new URLSearchParams({ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() });
  if (facts) query.set("keys", "true");
  try {
    return (await ledger.ask(`/usage?${query}`)) as LedgerReading;
  } catch (cause) {
    throw failed(ledger, cause);
  }
}

/** The rows of a span from all ledgers. */
export interface LedgerSpan {
  rows: LedgerRow[];
  /** Tags and labels of the rows' keys. */
  keys: Record<string, KeyFacts>;
  currency: Currency | null;
  /** Rows before this are not kept; null if unknown. */
  keptFromMs: number | null;
  /** Whether this is the ledger of one proxy alone. */
  single: boolean;
  /** Why other ledgers could not be read, whose rows are missing. */
  missing: string[];
}

function joined(readings: readonly LedgerReading[], missing: string[]): LedgerSpan {
  const kept = readings.flatMap(({ keptFrom }) => (keptFrom === undefined ? [] : [Date.parse(keptFrom)]));
  return {
    rows: readings.flatMap(({ rows }) => rows),
    keys: Object.assign({}, ...readings.map(({ keys }) => keys)) as LedgerSpan["keys"],
    currency: readings[0]?.currency ?? null,
    keptFromMs: kept.length === 0 ? null : Math.max(...kept),
    single: readings.length === 1 && readings[0]?.shared === false,
    missing,
  };
}

/**
 * Proxies that share a store return the same rows, so the first answer is enough. Otherwise the rows of all proxies are
 * added up. Names ledgers that can't be read; throws if none can.
 */
export async function readLedgers(ledgers: readonly Ledger[], span: AskedSpan): Promise<LedgerSpan> {
  const missing: string[] = [];
  const readings: LedgerReading[] = [];
  const noted = async (ledger: Ledger): Promise<void> => {
    try {
      readings.push(await read(ledger, span));
    } catch (cause) {
      missing.push((cause as Error).message);
    }
  };
  const rest = [...ledgers];
  while (rest.length > 0 && readings.length === 0) await noted(rest.shift() as Ledger);
  if (readings.length === 0) throw new Error(missing[0] ?? "there is no ledger");
  if (readings[0]?.shared) return joined(readings, []);
  await Promise.all(rest.map(noted));
  const shared = readings.find((reading) => reading.shared);
  if (shared !== undefined) return joined([shared], []);
  return joined([...new Map(readings.map((reading) => [reading.instance, reading])).values()], missing);
}

/** Renames a user in every ledger. Returns the number of rows changed. Throws if any ledger can't be changed. */
export async function renameInLedgers(
  ledgers: readonly Ledger[],
  renaming: { user: string; namespace: string | null; replacement: string },
): Promise<number> {
  let rows = 0;
  for (const ledger of ledgers) {
    try {
      rows += ((await ledger.ask("/usage/rename", renaming)) as { rows: number }).rows;
    } catch (cause) {
      throw failed(ledger, cause);
    }
  }
  return rows;
}
