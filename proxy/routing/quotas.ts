/** The per-minute quotas that an LLMProvider declares, kept by this proxy alone or across the fleet. */
import type { ProviderConfig, QuotaConfig } from "../config/provider.ts";
import type { Claim } from "../fleet/claim-set.ts";
import type { Quotas, Reservation } from "../fleet/quotas.ts";
import type { CounterSpec } from "../fleet/slice.ts";
import type { ProviderModel } from "../providers/provider.ts";
import { SlidingCount } from "./windows.ts";

/** Room taken for one request. */
export interface Room {
  /** Charges the actual usage. Later calls do nothing. */
  settle(requests: 0 | 1, tokens: number): void;
}

export interface ProviderQuotas {
  /**
   * Returns null if there is no room for a request of about this many tokens now. Returns a promise only if the fleet
   * has to be asked.
   */
  take(provider: ProviderConfig, model: ProviderModel, tokens: number): Room | null | Promise<Room | null>;
}

const windowMs = 60_000;
const unlimited: Room = { settle: () => undefined };

/** A quota that applies to a request. */
interface Due {
  of: "Requests" | "Tokens";
  /** The account or model that the quota belongs to. */
  owner: string;
  limit: number;
  /**
   * What the request takes. A request larger than the quota takes all of it, since otherwise it could never be made.
   */
  amount: number;
}

function duesOf(quota: QuotaConfig, owner: string, tokens: number): Due[] {
  const dues: Due[] = [];
  const { requestsPerMinute, tokensPerMinute } = quota;
  if (requestsPerMinute !== null) dues.push({ of: "Requests", owner, limit: requestsPerMinute, amount: 1 });
  if (tokensPerMinute !== null)
    dues.push({ of: "Tokens", owner, limit: tokensPerMinute, amount: Math.min(tokensPerMinute, tokens) });
  return dues;
}

const none: readonly Due[] = [];

const isUnlimited = ({ requestsPerMinute, tokensPerMinute }: QuotaConfig): boolean =>
  requestsPerMinute === null && tokensPerMinute === null;

/**
 * The account's own quota and the model's. Model names may contain characters that ids may not, so the two keys never
 * collide.
 */
function allDues(provider: ProviderConfig, model: ProviderModel, tokens: number): readonly Due[] {
  if (isUnlimited(provider.quota) && isUnlimited(model.config.quota)) return none;
  return [
    ...duesOf(provider.quota, provider.id, tokens),
    ...duesOf(model.config.quota, `${provider.id}|${model.name}`, tokens),
  ];
}

const usedOf = (due: Due, requests: number, tokens: number): number => (due.of === "Requests" ? requests : tokens);

/** For a single process without fleet state. */
export function localQuotas(nowMs: () => number): ProviderQuotas {
  const counts = new Map<string, SlidingCount>();
  const countOf = (due: Due): SlidingCount => {
    const key = `${due.of}|${due.owner}`;
    let count = counts.get(key);
    if (count === undefined) counts.set(key, (count = new SlidingCount(windowMs)));
    return count;
  };
  return {
    take(provider, model, tokens) {
      const dues = allDues(provider, model, tokens);
      if (dues.length === 0) return unlimited;
      if (dues.some((due) => countOf(due).total(nowMs()) + due.amount > due.limit)) return null;
      for (const due of dues) countOf(due).add(due.amount, nowMs());
      let settled = false;
      return {
        settle(requests, used) {
          if (settled) return;
          settled = true;
          for (const due of dues) countOf(due).add(usedOf(due, requests, used) - due.amount, nowMs());
        },
      };
    },
  };
}

export interface QuotaCounter {
  of: Due["of"];
  counter: CounterSpec;
}

/** The counters of an account's own quota, or with a model of that model's quota. */
export function quotaCounters(provider: ProviderConfig, model: ProviderModel | null): QuotaCounter[] {
  const dues =
    model === null
      ? duesOf(provider.quota, provider.id, 0)
      : duesOf(model.config.quota, `${provider.id}|${model.name}`, 0);
  return dues.map((due) => ({ of: due.of, counter: claimOf(due).counter }));
}

/** If the store can't be reached, the provider may still be called: it enforces its own limits. */
const claimOf = ({ of, owner, limit, amount }: Due): Claim => ({
  counter: {
    key: `w|provider|${of}.${windowMs}|${owner}`,
    kind: "window",
    limit,
    windowMs,
    seed: 0,
    expiresAtMs: null,
    onStateLoss: "allow",
  },
  amount,
});

/** Quotas shared by all proxies on the same fleet state. */
export function fleetQuotas(quotas: Pick<Quotas, "reserve">): ProviderQuotas {
  return {
    take(provider, model, tokens) {
      const dues = allDues(provider, model, tokens);
      if (dues.length === 0) return unlimited;
      const roomOf = (got: Reservation | { refused: unknown }): Room | null => {
        if ("refused" in got) return null;
        return { settle: (requests, used) => got.settle(dues.map((due) => usedOf(due, requests, used))) };
      };
      const got = quotas.reserve(dues.map(claimOf));
      return got instanceof Promise ? got.then(roomOf) : roomOf(got);
    },
  };
}
