/** The proxy's part in fleet state: its store, what it has leased, and its ledger. */
import { randomUUID } from "node:crypto";
import type { CallRecord } from "../call/record.ts";
import { steadyClock, steadyNowMs } from "../clock.ts";
import { UsageLedger } from "./ledger.ts";
import { openStore, type StateSettings } from "./open.ts";
import { Quotas } from "./quotas.ts";
import type { FleetStore } from "./store.ts";

/** How long a settled call waits for the store's ledger at most, in milliseconds. */
const ledgerEveryMs = 1_000;
/** Trouble is told this often at most, in milliseconds. */
const troubleEveryMs = 10_000;

export interface FleetState {
  store: FleetStore;
  quotas: Quotas;
  ledger: UsageLedger;
  record(call: CallRecord): void;
  /** Resolves when the store answers, or after a second without. */
  ready(): Promise<void>;
  /** Gives back what is leased and sends what is not in the ledger yet. */
  close(): Promise<void>;
}

/** Throws where the settings ask for a store that can't be made; one that can't be reached yet is no reason. */
export function startFleetState(settings: StateSettings, onTrouble: (cause: unknown) => void): FleetState {
  /** Why there is no connection: an operation says only that there is none. */
  let connection: Error | null = null;
  const store = openStore(settings, steadyNowMs, (cause) => {
    connection = cause;
  });
  const holder = randomUUID();
  let toldMs = 0;
  const trouble = (cause: unknown): void => {
    if (steadyNowMs() - toldMs < troubleEveryMs) return;
    toldMs = steadyNowMs();
    onTrouble(connection ?? cause);
  };
  const ready = async (): Promise<void> => {
    for (let waitedMs = 0; waitedMs < 1_000; waitedMs += 20) {
      try {
        await store.heartbeat(holder);
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  const quotas = new Quotas(store, holder, steadyClock, { onTrouble: trouble });
  const ledger = new UsageLedger(store, holder, trouble);
  const timer = setInterval(() => void ledger.flush(), ledgerEveryMs).unref();
  return {
    store,
    quotas,
    ledger,
    ready,
    record(call) {
      // Without a route there is nobody whose usage it could be.
      if (call.route !== "") ledger.add(call);
    },
    async close() {
      clearInterval(timer);
      await quotas.close();
      await ledger.flush();
      await store.close();
    },
  };
}
