/**
 * Canaries in the proxy: selects the calls that go to the canary, and counts their outcomes, by which the operator
 * judges it.
 */

import type { CallRecord } from "../call/record.ts";
import { type CanaryConfig, canaryLatencyBoundsMs } from "../config/canary.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { isTargetFault } from "./target-fault.ts";

/**
 * Puts the canary first for its share of the calls and otherwise last, where it remains a fallback. `drawn`: 0 to 100.
 */
export function withCanary(order: readonly ResolvedTarget[], canary: CanaryConfig, drawn: number): ResolvedTarget[] {
  const tried = order.filter((target) => target.config.name === canary.target);
  const others = order.filter((target) => target.config.name !== canary.target);
  return drawn < canary.percent ? [...tried, ...others] : [...others, ...tried];
}

export interface CanarySide {
  requests: number;
  failures: number;
  priced: number;
  /** nano-USD. */
  cost: number;
  latency: number[];
}

export interface CanaryReading {
  route: string;
  id: string;
  canary: CanarySide;
  baseline: CanarySide;
}

const newSide = (): CanarySide => ({
  requests: 0,
  failures: 0,
  priced: 0,
  cost: 0,
  latency: new Array<number>(canaryLatencyBoundsMs.length + 1).fill(0),
});

function bucketOf(ms: number): number {
  const index = canaryLatencyBoundsMs.findIndex((bound) => ms <= bound);
  return index < 0 ? canaryLatencyBoundsMs.length : index;
}

export class CanaryTally {
  readonly #readings = new Map<string, CanaryReading & { target: string }>();

  /** Resets the counts of a canary that has changed. */
  apply(snapshot: Snapshot): void {
    const live = new Map(
      [...snapshot.paths.values()].flatMap((path) =>
        path.routes.map((route) => [route.config.id, route.config.routing.canary] as const),
      ),
    );
    for (const [route, reading] of this.#readings) if (live.get(route)?.id !== reading.id) this.#readings.delete(route);
    for (const [route, canary] of live) {
      if (canary === null || this.#readings.has(route)) continue;
      this.#readings.set(route, {
        route,
        id: canary.id,
        target: canary.target,
        canary: newSide(),
        baseline: newSide(),
      });
    }
  }

  record(call: CallRecord): void {
    const reading = this.#readings.get(call.route);
    if (reading === undefined) return;
    for (const [index, attempt] of call.attempts.entries()) {
      const last = index === call.attempts.length - 1;
      const ok = attempt.outcome === "ok";
      // A caller that hung up says nothing about the target.
      if (ok ? call.abandoned : !isTargetFault(attempt)) continue;
      const side = attempt.target === reading.target ? reading.canary : reading.baseline;
      side.requests++;
      if (!ok) {
        side.failures++;
        continue;
      }
      const bucket = bucketOf(attempt.durationMs);
      side.latency[bucket] = (side.latency[bucket] ?? 0) + 1;
      if (!last || call.costNanoUsd === null) continue;
      side.priced++;
      side.cost += call.costNanoUsd;
    }
  }

  readings(): CanaryReading[] {
    return [...this.#readings.values()].map(({ target: _, ...reading }) => reading);
  }
}
