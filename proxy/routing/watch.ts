/**
 * Counts for alerts: what happened at each watched provider and policy in the last minutes. The operator adds up the
 * counts of all proxies. Nothing is counted that no alert watches.
 */

import type { CallRecord } from "../call/record.ts";
import { type WatchConfig, type WatchFigure, type WatchReading, watchFigures } from "../config/watch.ts";
import { failures } from "../failure.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { isTargetFault } from "./target-fault.ts";

/** Number of steps in which a window moves on. */
const slotCount = 12;
const width = watchFigures.length;
const placeOf = Object.fromEntries(watchFigures.map((name, index) => [name, index])) as Record<WatchFigure, number>;

/** Counts of the last `windowMs`, in a ring of slots. */
class Window {
  readonly config: WatchConfig;
  readonly #slotMs: number;
  readonly #counts = new Uint32Array(slotCount * width);
  #newest = 0;

  constructor(config: WatchConfig) {
    this.config = config;
    this.#slotMs = Math.max(1, Math.ceil(config.windowMs / slotCount));
  }

  /** Clears slots that are about to be reused. If the clock is set back, counts go to the newest slot. */
  #turn(nowMs: number): void {
    const slot = Math.floor(nowMs / this.#slotMs);
    if (slot <= this.#newest) return;
    for (let passed = Math.max(this.#newest + 1, slot - slotCount + 1); passed <= slot; passed++) {
      const from = (passed % slotCount) * width;
      this.#counts.fill(0, from, from + width);
    }
    this.#newest = slot;
  }

  add(figure: WatchFigure, nowMs: number): void {
    this.#turn(nowMs);
    const index = (this.#newest % slotCount) * width + placeOf[figure];
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
  }

  /** Records a complete answer. */
  took(ms: number, nowMs: number): void {
    this.add("timed", nowMs);
    if (this.config.latencyMs !== null && ms > this.config.latencyMs) this.add("slow", nowMs);
  }

  began(ms: number, nowMs: number): void {
    this.add("firstTokens", nowMs);
    if (this.config.firstTokenMs !== null && ms > this.config.firstTokenMs) this.add("late", nowMs);
  }

  counts(nowMs: number): WatchReading["counts"] {
    this.#turn(nowMs);
    const sum = (figure: WatchFigure): number => {
      let total = 0;
      for (let slot = 0; slot < slotCount; slot++) total += this.#counts[slot * width + placeOf[figure]] ?? 0;
      return total;
    };
    return Object.fromEntries(watchFigures.map((figure) => [figure, sum(figure)])) as WatchReading["counts"];
  }
}

type Wanted = ReadonlyMap<string, WatchConfig>;

/** Keeps the counts of everything that is still watched. */
function keep(windows: Map<string, Window>, wanted: Wanted): void {
  for (const id of windows.keys()) if (!wanted.has(id)) windows.delete(id);
  for (const [id, config] of wanted) {
    const before = windows.get(id)?.config;
    const same =
      before !== undefined &&
      before.windowMs === config.windowMs &&
      before.latencyMs === config.latencyMs &&
      before.firstTokenMs === config.firstTokenMs;
    if (!same) windows.set(id, new Window(config));
  }
}

export class WatchTally {
  readonly #nowMs: () => number;
  readonly #providers = new Map<string, Window>();
  readonly #routes = new Map<string, Window>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  apply(snapshot: Snapshot): void {
    const configs = [...snapshot.providers.values()].map((entry) => entry.account.config);
    keep(
      this.#providers,
      new Map(configs.flatMap(({ id, watch }) => (watch === undefined ? [] : [[id, watch] as const]))),
    );
    const routes = [...snapshot.paths.values()].flatMap((path) => path.routes);
    keep(
      this.#routes,
      new Map(routes.flatMap(({ config: { id, watch } }) => (watch === undefined ? [] : [[id, watch] as const]))),
    );
  }

  /** Records that a model's breaker opened. */
  opened(provider: string): void {
    this.#providers.get(provider)?.add("opened", this.#nowMs());
  }

  /** Records that the preferred provider can't be called and another one comes first. */
  moved(route: string): void {
    this.#routes.get(route)?.add("moved", this.#nowMs());
  }

  record(call: CallRecord): void {
    if (this.#providers.size > 0 && call.attempts.length > 0) this.#attempts(call);
    if (this.#routes.size === 0) return;
    const route = this.#routes.get(call.route);
    if (route !== undefined) this.#call(route, call);
  }

  #attempts(call: CallRecord): void {
    const nowMs = this.#nowMs();
    for (const [index, attempt] of call.attempts.entries()) {
      const window = this.#providers.get(attempt.provider);
      const ok = attempt.outcome === "ok";
      // A caller that hung up says nothing about the provider.
      if (window === undefined || (ok ? call.abandoned : !isTargetFault(attempt))) continue;
      window.add("calls", nowMs);
      if (!ok) {
        window.add("errors", nowMs);
        continue;
      }
      window.took(attempt.durationMs, nowMs);
      if (call.stream && call.firstByteMs !== null && index === call.attempts.length - 1)
        window.began(call.firstByteMs, nowMs);
    }
  }

  #call(route: Window, call: CallRecord): void {
    const failed = call.code !== null && (failures[call.code].blame === "provider" || call.code === "no_usable_target");
    const answered = call.code === null && call.attempts.length > 0;
    if (call.abandoned || !(failed || answered) || (failed && call.attempts.at(-1)?.uncounted === true)) return;
    const nowMs = this.#nowMs();
    route.add("calls", nowMs);
    const [first] = call.attempts;
    if (first !== undefined && call.attempts.some(({ provider }) => provider !== first.provider))
      route.add("moved", nowMs);
    if (failed) {
      route.add("errors", nowMs);
      return;
    }
    route.took(call.durationMs, nowMs);
    if (!call.stream || call.firstByteMs === null) return;
    // The caller also waited for the attempts that failed before.
    const before = call.attempts.slice(0, -1).reduce((sum, { durationMs }) => sum + durationMs, 0);
    route.began(before + call.firstByteMs, nowMs);
  }

  readings(): WatchReading[] {
    const nowMs = this.#nowMs();
    const readingsOf = (kind: WatchReading["kind"], windows: ReadonlyMap<string, Window>): WatchReading[] =>
      [...windows].map(([id, window]) => ({ kind, id, config: window.config, counts: window.counts(nowMs) }));
    return [...readingsOf("LLMProvider", this.#providers), ...readingsOf("RoutingPolicy", this.#routes)];
  }
}
