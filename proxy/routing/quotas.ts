/** What an LLMProvider declares that it takes in a minute, kept by this proxy alone or by the fleet together. */
import type { ProviderConfig } from "../config/schema.ts";
import type { Claim, Quotas, Reservation } from "../fleet/quotas.ts";
import { SlidingCount } from "./windows.ts";

/** Room for one request, taken. */
export interface Room {
  /** What was really used of it. Only the first time counts. */
  settle(requests: 0 | 1, tokens: number): void;
}

export interface ProviderQuotas {
  /** null: no room for a request of about so many tokens now. A promise only where the fleet has to be asked. */
  take(provider: ProviderConfig, tokens: number): Room | null | Promise<Room | null>;
}

const windowMs = 60_000;
const unlimited: Room = { settle: () => undefined };

/** For one process without fleet state. */
export function localQuotas(nowMs: () => number): ProviderQuotas {
  const counts = new Map<string, { requests: SlidingCount; tokens: SlidingCount }>();
  return {
    take({ id, quota }, tokens) {
      if (quota.requestsPerMinute === null && quota.tokensPerMinute === null) return unlimited;
      let used = counts.get(id);
      if (used === undefined) counts.set(id, (used = { requests: new SlidingCount(windowMs), tokens: new SlidingCount(windowMs) }));
      const counted = used;
      const at = nowMs();
      if (quota.requestsPerMinute !== null && counted.requests.total(at) + 1 > quota.requestsPerMinute) return null;
      if (quota.tokensPerMinute !== null && counted.tokens.total(at) + tokens > quota.tokensPerMinute) return null;
      counted.requests.add(1, at);
      counted.tokens.add(tokens, at);
      let settled = false;
      return {
        settle(requests, used) {
          if (settled) return;
          settled = true;
          if (requests === 0) counted.requests.add(-1, nowMs());
          counted.tokens.add(used - tokens, nowMs());
        },
      };
    },
  };
}

/** A provider may be called where nobody can be asked: it says by itself when it has had enough. */
function claimOf(id: string, of: "Requests" | "Tokens", limit: number, amount: number): Claim {
  const counter = { key: `w|provider|${of}.${windowMs}|${id}`, kind: "window", limit, windowMs, seed: 0, expiresAtMs: null, onStateLoss: "allow" } as const;
  // A request larger than the quota could never be made; it takes all there is.
  return { counter, amount: Math.min(limit, amount) };
}

/** Together with every other proxy on the same fleet state. */
export function fleetQuotas(quotas: Pick<Quotas, "reserve">): ProviderQuotas {
  return {
    take({ id, quota }, tokens) {
      const { requestsPerMinute, tokensPerMinute } = quota;
      if (requestsPerMinute === null && tokensPerMinute === null) return unlimited;
      const claims: Claim[] = [];
      if (requestsPerMinute !== null) claims.push(claimOf(id, "Requests", requestsPerMinute, 1));
      if (tokensPerMinute !== null) claims.push(claimOf(id, "Tokens", tokensPerMinute, tokens));
      const roomOf = (got: Reservation | { refused: unknown }): Room | null => {
        if ("refused" in got) return null;
        return {
          settle: (requests, used) => got.settle([...(requestsPerMinute === null ? [] : [requests]), ...(tokensPerMinute === null ? [] : [used])]),
        };
      };
      const got = quotas.reserve(claims);
      return got instanceof Promise ? got.then(roomOf) : roomOf(got);
    },
  };
}
