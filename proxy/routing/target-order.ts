/**
 * The order in which a policy wants its targets: by its rules or else its strategy, with callers and sessions kept on
 * their target, and a canary put in its place. Knows nothing of health.
 */

import type { SessionMove } from "../call/record.ts";
import type { RouteConfig } from "../config/route.ts";
import type { Usage } from "../dialects/canonical.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { CachedPrompts } from "./cached-prompts.ts";
import { withCanary } from "./canary.ts";
import type { PlanRequest } from "./routing.ts";
import { eligible, fitting } from "./rules.ts";
import { SessionTargets } from "./session-targets.ts";
import {
  affine,
  byPriority,
  drawnBy,
  drawsOf,
  leastCost,
  leastLatency,
  roundRobin,
  sizeOf,
  startingWith,
  weighted,
} from "./strategies.ts";

export interface RoutingClock {
  nowMs(): number;
  /** At least 0 and below 1. */
  random(): number;
}

type Chosen = ReturnType<typeof eligible>;
type LatencyTerms = RouteConfig["routing"]["leastLatency"];

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

export class TargetOrder {
  readonly #clock: RoutingClock;
  readonly #medianMs: (target: ResolvedTarget, terms: LatencyTerms) => number | null;
  /** Calls so far, by policy. */
  readonly #turns = new Map<string, number>();
  readonly #stays = new SessionTargets();
  readonly #cached = new CachedPrompts();

  constructor(clock: RoutingClock, medianMs: (target: ResolvedTarget, terms: LatencyTerms) => number | null) {
    this.#clock = clock;
    this.#medianMs = medianMs;
  }

  wanted(request: PlanRequest): readonly ResolvedTarget[] {
    const chosen = eligible(request);
    const subject = subjectOf(request);
    const { canary } = request.route.config.routing;
    const kept = keepsSession(request)
      ? this.#inItsSession(request, chosen)
      : this.#forCaller(request, chosen, subject);
    if (!canary || chosen.ordered) return kept;
    return withCanary(kept, canary, 100 * (subject === null ? this.#clock.random() : drawnBy(subject, canary.id)));
  }

  /** See Routing.answered. */
  answered(request: PlanRequest, target: ResolvedTarget, usage: Usage | null): SessionMove | null {
    if (usage !== null && comparesCost(request))
      this.#cached.note(stayOf(request), target.config.name, usage, this.#clock.nowMs());
    return keepsSession(request) ? this.#stays.note(stayOf(request), target, usage, this.#clock.nowMs()) : null;
  }

  #forCaller(request: PlanRequest, { targets, ordered }: Chosen, subject: string | null): readonly ResolvedTarget[] {
    const order = ordered ? targets : this.#byStrategy(request, fitting(request, targets));
    return subject === null ? order : affine(order, subject);
  }

  #inItsSession(request: PlanRequest, { targets, ordered }: Chosen): readonly ResolvedTarget[] {
    const order = ordered ? targets : this.#forSession(request, fitting(request, targets));
    const stay = this.#stays.of(stayOf(request), this.#clock.nowMs());
    return stay === null ? order : startingWith(order, stay);
  }

  #byStrategy(request: PlanRequest, targets: readonly ResolvedTarget[]): readonly ResolvedTarget[] {
    const { id, routing } = request.route.config;
    if (targets.length < 2) return targets;
    const turn = this.#turns.get(id) ?? 0;
    switch (routing.strategy) {
      case "RoundRobin":
        this.#turns.set(id, (turn + 1) % 1_000_000_007);
        return roundRobin(targets, turn);
      case "Weighted":
        return weighted(targets, this.#clock.random);
      case "LeastLatency":
        return leastLatency(targets, (target) => this.#medianMs(target, routing.leastLatency));
      case "LeastCost":
        return leastCost(
          targets,
          sizeOf(request, (target) => request.cachedTokens?.(target) ?? this.#cachedTokens(request, target)),
        );
      default:
        return byPriority(targets);
    }
  }

  #cachedTokens(request: PlanRequest, target: ResolvedTarget): number {
    if (request.session === "") return 0;
    return this.#cached.tokens(stayOf(request), target.config.name, this.#clock.nowMs());
  }

  /**
   * The strategy's order for the start of a session. All proxies choose the same target, as far as the strategy allows.
   */
  #forSession(request: PlanRequest, targets: readonly ResolvedTarget[]): readonly ResolvedTarget[] {
    switch (request.route.config.routing.strategy) {
      case "RoundRobin":
        return affine(targets, request.session);
      case "Weighted":
        return weighted(targets, drawsOf(request.session));
      case "Priority":
        return byPriority(affine(targets, request.session));
      default:
        return this.#byStrategy(request, targets);
    }
  }
}
