/** Rows of the usage ledger, asked of proxies. */
import type { LedgerRow } from "../../proxy/config/ledger.ts";

const timeoutMs = 30_000;

interface Usage {
  instance: string;
  shared: boolean;
  rows: LedgerRow[];
}

async function ask(url: string, fromMs: number, toMs: number): Promise<Usage> {
  const target = new URL("/usage", url);
  target.search = new URLSearchParams({ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() }).toString();
  try {
    const response = await fetch(target, { signal: AbortSignal.timeout(timeoutMs) });
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    return (await response.json()) as Usage;
  } catch (cause) {
    throw new Error(`no ledger at ${url}: ${cause instanceof Error ? cause.message : String(cause)}; it is a proxy's status port, 9090`, { cause });
  }
}

/** Proxies with a store between them give the same rows, so that one is enough; those without are added up, each once. */
export async function readLedgers(urls: readonly string[], fromMs: number, toMs: number): Promise<LedgerRow[]> {
  const all = await Promise.all(urls.map((url) => ask(url, fromMs, toMs)));
  const shared = all.find((one) => one.shared);
  if (shared) return shared.rows;
  return [...new Map(all.map((one) => [one.instance, one])).values()].flatMap((one) => one.rows);
}
