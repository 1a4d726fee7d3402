/** What an LLMProvider declares that it takes in a minute, kept by this proxy alone or by the fleet together. */
import type { ProviderConfig, QuotaConfig } from "../config/provider.ts";
import type { Claim } from "../fleet/claim-set.ts";
import type { Quotas, Reservation } from "../fleet/quotas.ts";
import type { ProviderModel } from "../providers/provider.ts";
import { SlidingCount } from "./windows.ts";

/** Room for one request, taken. */
export interface Room {
  /** What was really used of it. Only the first time counts. */
  settle(requests: 0 | 1, tokens: number): void;
}

export interface ProviderQuotas {
  /** null: no room for a request of about so many tokens now. A promise only where the fleet has to be asked. */
  take(provider: ProviderConfig, model: ProviderModel, tokens: number): Room | null | Promise<Room | null>;
}

const windowMs = 60_000;
const unlimited: Room = { settle: () => undefined };

/** One quota that a request falls under. */
interface Due {
  of: "Requests" | "Tokens";
  /** Whose quota it is. */
  owner: string;
  limit: number;
  /** What the request takes of it. One that is larger than the quota could never be made; it takes all there is. */
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

/** The account's own quota, and the one for this model. A name of a model may hold what an id may not, so the two never meet. */
const allDues = (provider: ProviderConfig, model: ProviderModel, tokens: number): Due[] => [
  ...duesOf(provider.quota, provider.id, tokens),
  ...duesOf(model.config.quota, `${provider.id}|${model.name}`, tokens),
];

const usedOf = (due: Due, requests: number, tokens: number): number => (due.of === "Requests" ? requests : tokens);

/** For one process without fleet state. */
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

/** A provider may be called where nobody can be asked: it says by itself when it has had enough. */
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

/** Together with every other proxy on the same fleet state. */
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
