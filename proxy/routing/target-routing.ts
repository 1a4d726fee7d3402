/** Routing with its memory: the health of providers and models, the servers of pools, and the targets of sessions. */

import type { SessionMove } from "../call/record.ts";
import type { ProviderConfig } from "../config/provider.ts";
import type { Usage } from "../dialects/canonical.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { ProviderEntry } from "../snapshot/snapshot.ts";
import { type AttemptCause, causeInWords } from "../wire/causes.ts";
import type { BreakerState } from "./breaker.ts";
import { type ModelHealth, ProviderHealth } from "./health.ts";
import type { CheckReading } from "./health-checks.ts";
import { type PodReading, type PodSeat, type PodWish, Pools } from "./pools.ts";
import { localQuotas, type ProviderQuotas, type Room } from "./quotas.ts";
import type { Permit, PlanRequest, Routing } from "./routing.ts";
import { prefer } from "./strategies.ts";
import { type RoutingClock, TargetOrder } from "./target-order.ts";
import { type TakenTarget, TargetPermit } from "./target-permit.ts";

/** Suggested wait if nothing says how long: a breaker's trial or a quota's next slice is near. */
const defaultWaitMs = 5_000;
const maxWaitMs = 60_000;

export interface BreakerReading {
  provider: string;
  model: string;
  state: BreakerState;
  /** Why the last call failed, if the breaker is not closed and the connection failed. */
  cause: AttemptCause | null;
  /** Whether the provider refuses our credential. */
  refused: boolean;
}

export interface ProviderReading {
  /** null if no call or check has shown it yet. */
  healthy: boolean | null;
  /** Why it is unhealthy. */
  reason: string | null;
}

function openReason(states: readonly BreakerReading[]): string {
  const causes = [...new Set(states.flatMap(({ cause }) => cause ?? []))].sort();
  return ["every model's breaker is open", ...(causes.length === 0 ? [] : [causes.map(causeInWords).join(", ")])].join(
    ": ",
  );
}

/** Receives the events that alerts count. */
export interface RoutingWatch {
  opened(provider: string): void;
  moved(route: string): void;
}

/** Further input for routing, besides the outcomes of calls. */
export interface RoutingSources {
  /** What active checks know about a provider; null if it has no check. */
  checked?(provider: string): CheckReading | null;
  quotas?: ProviderQuotas;
  watch?: RoutingWatch;
}

export class TargetRouting implements Routing {
  readonly #clock: RoutingClock;
  readonly #checked: (provider: string) => CheckReading | null;
  readonly #quotas: ProviderQuotas;
  readonly #watch: RoutingWatch | null;
  readonly #order: TargetOrder;
  readonly #pools: Pools;
  readonly #providers = new Map<string, ProviderHealth>();
  readonly #configs = new Map<string, ProviderConfig>();
  readonly #nowMs = (): number => this.#clock.nowMs();
  readonly #opened = (provider: string): void => this.#watch?.opened(provider);

  constructor(clock: RoutingClock, { checked = () => null, quotas, watch }: RoutingSources = {}) {
    this.#clock = clock;
    this.#checked = checked;
    this.#quotas = quotas ?? localQuotas(clock.nowMs);
    this.#watch = watch ?? null;
    this.#pools = new Pools(this.#nowMs);
    this.#order = new TargetOrder(clock, (target, terms) =>
      this.#healthOf(target).model.medianMs(terms, this.#nowMs()),
    );
  }

  #healthOf(target: ResolvedTarget): { provider: ProviderHealth; model: ModelHealth } {
    const { config } = target.entry.account;
    let provider = this.#providers.get(config.id);
    if (!provider) this.#providers.set(config.id, (provider = new ProviderHealth()));
    this.#configs.set(config.id, config);
    return { provider, model: provider.model(target.model.name) };
  }

  plan(request: PlanRequest): readonly ResolvedTarget[] {
    const wanted = this.#order.wanted(request);
    const order = request.preferred === null ? wanted : prefer(wanted, request.preferred);
    if (order.length < 2) return order;
    const { id, routing } = request.route.config;
    const ranks = order.map((target) => this.#rankOf(target, routing.slowAfterMs, request.caller ?? ""));
    if (ranks.every((rank) => rank === ranks[0])) return order;
    const ranked = [0, 1, 2].flatMap((rank) => order.filter((_, index) => ranks[index] === rank));
    // A target that is only slow or short of quota is spared, which isn't a failure and doesn't count as moved.
    if (ranks[0] === 2 && ranked[0]?.config.provider !== order[0]?.config.provider) this.#watch?.moved(id);
    return ranked;
  }

  #isUsable(target: ResolvedTarget, caller: string): boolean {
    const { model } = this.#healthOf(target);
    const nowMs = this.#nowMs();
    // A failing check puts a target last but doesn't exclude it, since the check itself may be wrong.
    if (this.#checked(target.config.provider)?.healthy === false) return false;
    return model.heldUntilMs(caller) <= nowMs && model.state(target.entry.account.config, nowMs, caller) !== "open";
  }

  /**
   * 0: preferred. 1: slower than the policy allows, or its rate limit is used up, so others come first. 2: can't be
   * called now; still tried when nothing else is left and its time has come.
   */
  #rankOf(target: ResolvedTarget, slowAfterMs: number | null, caller: string): 0 | 1 | 2 {
    if (!this.#isUsable(target, caller)) return 2;
    const { model } = this.#healthOf(target);
    const nowMs = this.#nowMs();
    return model.sparedUntilMs > nowMs || (slowAfterMs !== null && model.slowerThan(slowAfterMs, nowMs)) ? 1 : 0;
  }

  acquire(target: ResolvedTarget, tokens: number, caller = "", wish?: PodWish): Permit | null | Promise<Permit | null> {
    const { provider, model } = this.#healthOf(target);
    const { config } = target.entry.account;
    if (!model.acquire(config, caller, this.#nowMs())) return null;
    const seat = this.#seatOf(target, wish);
    if (seat === undefined) {
      model.release(caller);
      return null;
    }
    const taken: TakenTarget = { model, config, tokens, caller, seat };
    const room = this.#quotas.take(config, target.model, tokens);
    return room instanceof Promise
      ? room.then((got) => this.#permit(provider, taken, got))
      : this.#permit(provider, taken, room);
  }

  /** undefined: no server of the pool has room. */
  #seatOf({ entry }: ResolvedTarget, wish: PodWish | undefined): PodSeat | null | undefined {
    return wish === undefined || entry.pods === undefined ? null : (this.#pools.take(entry, wish) ?? undefined);
  }

  #permit(provider: ProviderHealth, taken: TakenTarget, room: Room | null): Permit | null {
    if (room === null) {
      taken.model.release(taken.caller);
      taken.seat?.left(false);
      return null;
    }
    provider.took(this.#nowMs());
    return new TargetPermit(taken, room, this.#nowMs, this.#opened);
  }

  wait(targets: readonly ResolvedTarget[], caller = ""): { ms: number; rateLimited: boolean } {
    const nowMs = this.#nowMs();
    const waits = targets.map((target) => {
      const { model } = this.#healthOf(target);
      const held = model.heldUntilMs(caller) - nowMs;
      return held > 0
        ? { ms: held, rateLimited: true }
        : { ms: defaultWaitMs, rateLimited: model.state(target.entry.account.config, nowMs, caller) === "closed" };
    });
    return {
      ms: Math.min(maxWaitMs, ...waits.map(({ ms }) => ms)),
      rateLimited: waits.length > 0 && waits.every(({ rateLimited }) => rateLimited),
    };
  }

  heldMs(target: ResolvedTarget, caller = ""): number {
    return Math.max(0, this.#healthOf(target).model.heldUntilMs(caller) - this.#nowMs());
  }

  firstToken(target: ResolvedTarget, ms: number): void {
    this.#healthOf(target).model.sawFirstToken(ms, this.#nowMs());
  }

  spare(target: ResolvedTarget, ms: number): void {
    this.#healthOf(target).model.spare(this.#nowMs() + Math.min(maxWaitMs, ms));
  }

  answered(request: PlanRequest, target: ResolvedTarget, usage: Usage | null): SessionMove | null {
    return this.#order.answered(request, target, usage);
  }

  mayRetry(target: ResolvedTarget): boolean {
    return this.#healthOf(target).provider.takeRetry(this.#nowMs());
  }

  /** Forgets providers that are no longer configured. */
  keep(entries: ReadonlyMap<string, ProviderEntry>): void {
    for (const id of this.#providers.keys()) if (!entries.has(id)) this.#providers.delete(id);
    for (const id of this.#configs.keys()) if (!entries.has(id)) this.#configs.delete(id);
    this.#pools.keep(entries);
  }

  /** Calls under way at the servers of a pool; null if the provider isn't a pool. */
  pods(entry: ProviderEntry): PodReading[] | null {
    return this.#pools.readings(entry);
  }

  breakers(): BreakerReading[] {
    const nowMs = this.#nowMs();
    const readings: BreakerReading[] = [];
    for (const [provider, { models }] of this.#providers) {
      const config = this.#configs.get(provider);
      if (config === undefined) continue;
      for (const [model, health] of models) {
        const state = health.state(config, nowMs);
        const cause = state === "closed" ? null : health.cause;
        readings.push({ provider, model, state, cause, refused: health.refused(nowMs) });
      }
    }
    return readings;
  }

  /** Health by the provider's health check, or by its breakers if it has none. */
  health(provider: string): ProviderReading {
    const check = this.#checked(provider);
    if (check !== null) return { healthy: check.healthy, reason: check.healthy === false ? check.reason : null };
    const states = this.breakers().filter((breaker) => breaker.provider === provider);
    if (states.length === 0) return { healthy: null, reason: null };
    const healthy = states.some(({ state }) => state === "closed");
    return { healthy, reason: healthy ? null : openReason(states) };
  }
}
