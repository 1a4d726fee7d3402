import type { ProviderConfig } from "../config/provider.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { PodEntry, ProviderEntry } from "../snapshot/snapshot.ts";
import { type AttemptCause, causeInWords } from "../wire/causes.ts";
import type { BreakerState } from "./breaker.ts";
import { CachedPrompts } from "./cached-prompts.ts";
import { withCanary } from "./canary.ts";
import { type ModelHealth, ProviderHealth } from "./health.ts";
import type { CheckReading } from "./health-checks.ts";
import { type PodReading, type PodSeat, type PodWish, Pools } from "./pools.ts";
import { localQuotas, type ProviderQuotas, type Room } from "./quotas.ts";
import type { Permit, PlanRequest, Routing } from "./routing.ts";
import { eligible, fitting } from "./rules.ts";
import { SessionTargets } from "./session-targets.ts";
import {
  affine,
  byPriority,
  drawnBy,
  drawsOf,
  leastCost,
  leastLatency,
  prefer,
  roundRobin,
  sizeOf,
  startingWith,
  weighted,
} from "./strategies.ts";

/** Suggested wait if nothing says how long: a breaker's trial or a quota's next slice is near. */
const defaultWaitMs = 5_000;
const longestWaitMs = 60_000;

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

export interface OwnedRouting extends Routing {
  /** Forgets providers that are no longer configured. */
  keep(providers: ReadonlyMap<string, ProviderEntry>): void;
  /** What is under way at the servers of a pool; null if the provider is none. */
  pods(entry: ProviderEntry): PodReading[] | null;
  breakers(): BreakerReading[];
  /** Health by the provider's health check, or by its breakers if it has none. */
  health(provider: string): ProviderReading;
}

function subjectOf(request: PlanRequest): string | null {
  const { affinity } = request.route.config.routing;
  if (affinity === null) return null;
  if (affinity.by === "Header") return request.header(affinity.header ?? "");
  if (affinity.by === "Session") return request.session === "" ? null : request.session;
  if (request.identity.anonymous) return null;
  return affinity.by === "User" ? request.identity.key.user : request.identity.key.id;
}

const keepsSession = ({ route, session }: PlanRequest): boolean =>
  session !== "" && route.config.routing.affinity?.by === "Session";

/** Whether the next call of the session goes where it is cheapest. */
const comparesCost = ({ route, session }: PlanRequest): boolean =>
  session !== "" && route.config.routing.strategy === "LeastCost" && route.config.routing.targets.length > 1;

/** A session is kept on a target for each policy. */
const stayOf = ({ route, session }: PlanRequest): string => `${route.config.id}\n${session}`;

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

/** An attempt that didn't end well leaves its use of the quota unknown, so the estimate is kept. */
class TargetPermit implements Permit {
  readonly #clock: { nowMs(): number };
  readonly #model: ModelHealth;
  readonly #config: ProviderConfig;
  readonly #tokens: number;
  readonly #room: Room;
  readonly #caller: string;
  readonly #watch: RoutingWatch | null;
  readonly #seat: PodSeat | null;

  constructor(
    clock: { nowMs(): number },
    model: ModelHealth,
    config: ProviderConfig,
    tokens: number,
    room: Room,
    caller: string,
    watch: RoutingWatch | null,
    seat: PodSeat | null,
  ) {
    this.#seat = seat;
    this.#clock = clock;
    this.#model = model;
    this.#config = config;
    this.#tokens = tokens;
    this.#room = room;
    this.#caller = caller;
    this.#watch = watch;
  }

  get pod(): PodEntry | null {
    return this.#seat?.pod ?? null;
  }

  succeeded({ firstByteMs, tokens }: Parameters<Permit["succeeded"]>[0]): void {
    this.#model.succeeded(this.#config, firstByteMs, this.#clock.nowMs(), this.#caller);
    this.#room.settle(1, tokens > 0 ? tokens : this.#tokens);
    this.#seat?.left(false);
  }

  failed({ ofCaller = true, ...failure }: Parameters<Permit["failed"]>[0]): boolean {
    const suspect = ofCaller && this.#caller !== "" ? { caller: this.#caller } : {};
    const { counted, opened } = this.#model.failed(this.#config, { ...failure, ...suspect }, this.#clock.nowMs());
    if (opened) this.#watch?.opened(this.#config.id);
    this.#room.settle(1, this.#tokens);
    this.#seat?.left(failure.class === "Unavailable" || failure.class === "Timeout");
    return counted;
  }

  released(): void {
    this.#model.release(this.#caller);
    this.#room.settle(1, this.#tokens);
    this.#seat?.left(false);
  }
}

/** `checked`: what active checks know about a provider; null if it has no check. */
export function createRouting(
  clock: { nowMs(): number; random(): number },
  checked: (provider: string) => CheckReading | null = () => null,
  quotas: ProviderQuotas = localQuotas(clock.nowMs),
  watch: RoutingWatch | null = null,
): OwnedRouting {
  const providers = new Map<string, ProviderHealth>();
  const turns = new Map<string, number>();
  const stays = new SessionTargets();
  const cached = new CachedPrompts();
  const pools = new Pools(() => clock.nowMs());
  const configs = new Map<string, ResolvedTarget["entry"]["account"]["config"]>();

  const healthOf = (target: ResolvedTarget): { provider: ProviderHealth; model: ModelHealth } => {
    const { config } = target.entry.account;
    let provider = providers.get(config.id);
    if (!provider) providers.set(config.id, (provider = new ProviderHealth()));
    configs.set(config.id, config);
    return { provider, model: provider.model(target.model.name) };
  };

  const cachedTokens = (request: PlanRequest, target: ResolvedTarget): number =>
    request.session === "" ? 0 : cached.tokens(stayOf(request), target.config.name, clock.nowMs());

  const byStrategy = (request: PlanRequest, targets: readonly ResolvedTarget[]): readonly ResolvedTarget[] => {
    const { id, routing } = request.route.config;
    if (targets.length < 2) return targets;
    const turn = turns.get(id) ?? 0;
    switch (routing.strategy) {
      case "RoundRobin":
        turns.set(id, (turn + 1) % 1_000_000_007);
        return roundRobin(targets, turn);
      case "Weighted":
        return weighted(targets, clock.random);
      case "LeastLatency":
        return leastLatency(targets, (target) => healthOf(target).model.medianMs(routing.leastLatency, clock.nowMs()));
      case "LeastCost":
        return leastCost(
          targets,
          sizeOf(request, (target) => request.cachedTokens?.(target) ?? cachedTokens(request, target)),
        );
      default:
        return byPriority(targets);
    }
  };

  /** The strategy's order where a session begins. Every proxy chooses alike, as far as the strategy lets it. */
  const forSession = (request: PlanRequest, targets: readonly ResolvedTarget[]): readonly ResolvedTarget[] => {
    switch (request.route.config.routing.strategy) {
      case "RoundRobin":
        return affine(targets, request.session);
      case "Weighted":
        return weighted(targets, drawsOf(request.session));
      case "Priority":
        return byPriority(affine(targets, request.session));
      default:
        return byStrategy(request, targets);
    }
  };

  const usable = (target: ResolvedTarget, caller: string): boolean => {
    const { model } = healthOf(target);
    const nowMs = clock.nowMs();
    // A failing check puts a target last but doesn't exclude it, since the check itself may be wrong.
    if (checked(target.config.provider)?.healthy === false) return false;
    return model.heldUntilMs(caller) <= nowMs && model.state(target.entry.account.config, nowMs, caller) !== "open";
  };

  /**
   * 0: preferred. 1: slower than the policy allows, or its rate limit is used up, so others come first. 2: can't be
   * called now; still tried when nothing else is left and its time has come.
   */
  const rankOf = (target: ResolvedTarget, slowAfterMs: number | null, caller: string): 0 | 1 | 2 => {
    if (!usable(target, caller)) return 2;
    const { model } = healthOf(target);
    const nowMs = clock.nowMs();
    return model.sparedUntilMs > nowMs || (slowAfterMs !== null && model.slowerThan(slowAfterMs, nowMs)) ? 1 : 0;
  };

  const breakers = (): BreakerReading[] => {
    const readings: BreakerReading[] = [];
    for (const [provider, health] of providers) {
      const config = configs.get(provider);
      if (config === undefined) continue;
      for (const [model, known] of health.models) {
        const state = known.state(config, clock.nowMs());
        readings.push({
          provider,
          model,
          state,
          cause: state === "closed" ? null : known.cause,
          refused: known.refused(clock.nowMs()),
        });
      }
    }
    return readings;
  };

  type Chosen = ReturnType<typeof eligible>;

  const forCaller = (
    request: PlanRequest,
    { targets, ordered }: Chosen,
    subject: string | null,
  ): readonly ResolvedTarget[] => {
    const order = ordered ? targets : byStrategy(request, fitting(request, targets));
    return subject === null ? order : affine(order, subject);
  };

  const inItsSession = (request: PlanRequest, { targets, ordered }: Chosen): readonly ResolvedTarget[] => {
    const order = ordered ? targets : forSession(request, fitting(request, targets));
    const stay = stays.of(stayOf(request), clock.nowMs());
    return stay === null ? order : startingWith(order, stay);
  };

  /**
   * The policy's own order: by its rules or else its strategy, with callers kept on their target and a canary put in
   * its place.
   */
  const wanted = (request: PlanRequest): readonly ResolvedTarget[] => {
    const chosen = eligible(request);
    const subject = subjectOf(request);
    const { canary } = request.route.config.routing;
    const kept = keepsSession(request) ? inItsSession(request, chosen) : forCaller(request, chosen, subject);
    if (!canary || chosen.ordered) return kept;
    return withCanary(kept, canary, 100 * (subject === null ? clock.random() : drawnBy(subject, canary.id)));
  };

  const granted = (
    provider: ProviderHealth,
    model: ModelHealth,
    config: ProviderConfig,
    tokens: number,
    room: Room | null,
    caller: string,
    seat: PodSeat | null,
  ): Permit | null => {
    if (room === null) {
      model.release(caller);
      seat?.left(false);
      return null;
    }
    provider.took(clock.nowMs());
    return new TargetPermit(clock, model, config, tokens, room, caller, watch, seat);
  };

  /** undefined: no server of the pool has room. */
  const seatOf = ({ entry }: ResolvedTarget, wish: PodWish | undefined): PodSeat | null | undefined =>
    wish === undefined || entry.pods === undefined ? null : (pools.take(entry, wish) ?? undefined);

  return {
    plan(request) {
      let order = wanted(request);
      if (request.preferred !== null) order = prefer(order, request.preferred);
      if (order.length < 2) return order;
      const ranks = order.map((target) =>
        rankOf(target, request.route.config.routing.slowAfterMs, request.caller ?? ""),
      );
      if (ranks.every((rank) => rank === ranks[0])) return order;
      const ranked = [0, 1, 2].flatMap((rank) => order.filter((_, index) => ranks[index] === rank));
      // A target that is only slow or short of quota is spared, which isn't a failure and doesn't count as moved.
      if (ranks[0] === 2 && ranked[0]?.config.provider !== order[0]?.config.provider)
        watch?.moved(request.route.config.id);
      return ranked;
    },
    acquire(target, tokens, caller = "", wish = undefined) {
      const { provider, model } = healthOf(target);
      const { config } = target.entry.account;
      const nowMs = clock.nowMs();
      if (!model.acquire(config, caller, nowMs)) return null;
      const seat = seatOf(target, wish);
      if (seat === undefined) {
        model.release(caller);
        return null;
      }
      const room = quotas.take(config, target.model, tokens);
      return room instanceof Promise
        ? room.then((got) => granted(provider, model, config, tokens, got, caller, seat))
        : granted(provider, model, config, tokens, room, caller, seat);
    },
    wait(targets, caller = "") {
      const nowMs = clock.nowMs();
      const waits = targets.map((target) => {
        const { model } = healthOf(target);
        const held = model.heldUntilMs(caller) - nowMs;
        return held > 0
          ? { ms: held, rateLimited: true }
          : { ms: defaultWaitMs, rateLimited: model.state(target.entry.account.config, nowMs, caller) === "closed" };
      });
      return {
        ms: Math.min(longestWaitMs, ...waits.map(({ ms }) => ms)),
        rateLimited: waits.length > 0 && waits.every(({ rateLimited }) => rateLimited),
      };
    },
    firstToken: (target, ms) => healthOf(target).model.sawFirstToken(ms, clock.nowMs()),
    spare: (target, ms) => healthOf(target).model.spare(clock.nowMs() + Math.min(longestWaitMs, ms)),
    heldMs: (target, caller = "") => Math.max(0, healthOf(target).model.heldUntilMs(caller) - clock.nowMs()),
    answered(request, target, usage) {
      if (usage !== null && comparesCost(request))
        cached.note(stayOf(request), target.config.name, usage, clock.nowMs());
      return keepsSession(request) ? stays.note(stayOf(request), target, usage, clock.nowMs()) : null;
    },
    mayRetry: (target) => healthOf(target).provider.takeRetry(clock.nowMs()),
    keep(entries) {
      for (const id of providers.keys()) if (!entries.has(id)) providers.delete(id);
      for (const id of configs.keys()) if (!entries.has(id)) configs.delete(id);
      pools.keep(entries);
    },
    pods: (entry) => pools.readings(entry),
    breakers,
    health(provider) {
      const check = checked(provider);
      if (check !== null) return { healthy: check.healthy, reason: check.healthy === false ? check.reason : null };
      const states = breakers().filter((breaker) => breaker.provider === provider);
      if (states.length === 0) return { healthy: null, reason: null };
      const healthy = states.some(({ state }) => state === "closed");
      return { healthy, reason: healthy ? null : openReason(states) };
    },
  };
}
