/** Starts this proxy's side of fleet state: its store, its leases and its ledger. */
import { randomUUID } from "node:crypto";
import type { CallRecord } from "../call/record.ts";
import { steadyClock, steadyNowMs } from "../clock.ts";
import { UsageLedger } from "./ledger.ts";
import { openStore, type StateSettings } from "./open.ts";
import { defaultDeadlineMs, Quotas } from "./quotas.ts";
import { SessionTimes } from "./session-times.ts";
import type { FleetStore } from "./store.ts";

/** How long a settled call may wait before it is sent to the store's ledger, in milliseconds. */
const ledgerEveryMs = 1_000;
/** Shortest time between two reports of trouble, in milliseconds. */
const troubleEveryMs = 10_000;

export interface FleetState {
  store: FleetStore;
  quotas: Quotas;
  ledger: UsageLedger;
  sessionTimes: SessionTimes;
  record(call: CallRecord): void;
  /** Resolves when the store answers, or after a second without an answer. */
  ready(): Promise<void>;
  /** Gives back all leases and sends the rows that the ledger lacks. */
  close(): Promise<void>;
}

/**
 * Throws if the configured store can't be created. A store that can't be reached yet is no error. `onEviction` receives
 * the policy by which the store may drop counters, and null once it drops none any more.
 */
export function startFleetState(
  settings: StateSettings,
  onTrouble: (cause: unknown) => void,
  onEviction: (policy: string | null) => void,
): FleetState {
  /** Why the store is disconnected; the errors of operations only say that it is. */
  let connection: Error | null = null;
  const store = openStore(settings, steadyNowMs, (cause) => {
    connection = cause;
  });
  const holder = randomUUID();
  let reportedMs = 0;
  const trouble = (cause: unknown): void => {
    if (steadyNowMs() - reportedMs < troubleEveryMs) return;
    reportedMs = steadyNowMs();
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
  const quotas = new Quotas(store, holder, steadyClock, {
    deadlineMs: settings.stateTimeoutMs ?? defaultDeadlineMs,
    onTrouble: trouble,
  });
  const sessionTimes = new SessionTimes(store, steadyClock, {
    deadlineMs: settings.stateTimeoutMs ?? defaultDeadlineMs,
    isLost: () => quotas.broken,
  });
  const ledger = new UsageLedger(store, holder, trouble);
  let evicting: string | null = null;
  const timer = setInterval(() => {
    void ledger.flush();
    const policy = store.eviction?.() ?? null;
    if (policy === evicting) return;
    evicting = policy;
    onEviction(policy);
  }, ledgerEveryMs).unref();
  return {
    store,
    quotas,
    ledger,
    sessionTimes,
    ready,
    record(call) {
      // A call without a route can't be attributed.
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
