/** Counts of the last hour in slots of 30 seconds, for the console: by namespace, policy and target, and by provider. */
import { type CallRecord, namespaceOfCall } from "../call/record.ts";
import {
  type NamespaceMarks,
  type TrafficFigure,
  type TrafficSeries,
  trafficFigures,
  trafficLatencyBoundsMs,
  trafficSlotMs,
  trafficSlots,
} from "../config/activity.ts";
import { type FailureCode, failures } from "../failure.ts";
import { by } from "../growing-map.ts";

/** Most named series. Calls beyond that are counted together, in one series without a name. */
const maxSeries = 512;
const width = trafficFigures.length + trafficLatencyBoundsMs.length + 1;
const placeOf = Object.fromEntries(trafficFigures.map((name, index) => [name, index])) as Record<TrafficFigure, number>;

type Names = Omit<TrafficSeries, "slots">;

class Series {
  readonly names: Names;
  readonly #slots: (Float64Array | undefined)[] = [];
  readonly #numbers: number[] = [];

  constructor(names: Names) {
    this.names = names;
  }

  /** The counts of the slot at a moment. */
  slot(nowMs: number): Float64Array {
    const number = Math.floor(nowMs / trafficSlotMs);
    const place = number % trafficSlots;
    const cached = this.#slots[place];
    if (cached !== undefined && this.#numbers[place] === number) return cached;
    const slot = cached?.fill(0) ?? new Float64Array(width);
    this.#slots[place] = slot;
    this.#numbers[place] = number;
    return slot;
  }

  slots(nowMs: number): TrafficSeries["slots"] {
    const oldest = Math.floor(nowMs / trafficSlotMs) - trafficSlots + 1;
    return [...this.#slots.entries()]
      .flatMap(([place, slot]): TrafficSeries["slots"] => {
        const number = this.#numbers[place] ?? 0;
        return slot === undefined || number < oldest ? [] : [[number, [...slot]]];
      })
      .sort(([a], [b]) => a - b);
  }
}

function add(slot: Float64Array, figure: TrafficFigure, amount: number): void {
  slot[placeOf[figure]] = (slot[placeOf[figure]] ?? 0) + amount;
}

function addLatency(slot: Float64Array, ms: number): void {
  let bucket = 0;
  while (bucket < trafficLatencyBoundsMs.length && ms > (trafficLatencyBoundsMs[bucket] ?? 0)) bucket++;
  const index = trafficFigures.length + bucket;
  slot[index] = (slot[index] ?? 0) + 1;
}

/** Whether the caller could not have avoided it. */
const isOurs = (code: FailureCode): boolean =>
  failures[code].blame === "provider" || failures[code].blame === "gateway" || code === "no_usable_target";

/** By kind, namespace, policy, target and provider. */
const newTree = by(by(by(by(by((): { series: Series | null } => ({ series: null }))))));

const noNames = (kind: Names["kind"]): Names => ({ kind, namespace: "", route: "", target: "", provider: "" });

/** Marks of each namespace: a closed set of types and codes. */
class Marks {
  readonly #of = new Map<string, { masked: Map<string, number>; failures: Map<string, number> }>();

  add(namespace: string, { masked, code }: CallRecord): void {
    if (masked === null && code === null) return;
    const name = this.#of.has(namespace) || this.#of.size < maxSeries ? namespace : "";
    let marks = this.#of.get(name);
    if (marks === undefined) this.#of.set(name, (marks = { masked: new Map(), failures: new Map() }));
    for (const [type, values] of Object.entries(masked ?? {}))
      marks.masked.set(type, (marks.masked.get(type) ?? 0) + values);
    if (code !== null) marks.failures.set(code, (marks.failures.get(code) ?? 0) + 1);
  }

  read(): NamespaceMarks[] {
    return [...this.#of].map(([namespace, marks]) => ({
      namespace,
      masked: Object.fromEntries(marks.masked),
      failures: Object.fromEntries(marks.failures),
    }));
  }
}

export class TrafficTally {
  readonly #nowMs: () => number;
  #tree = newTree();
  #all: Series[] = [];
  readonly #others = { call: new Series(noNames("call")), attempt: new Series(noNames("attempt")) };
  #forgotMs = 0;
  readonly #marks = new Marks();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  record(call: CallRecord): void {
    const nowMs = this.#nowMs();
    const namespace = namespaceOfCall(call);
    this.#marks.add(namespace, call);
    const { route, target, provider } = call;
    const slot = this.#series("call", namespace, route, target, provider).slot(nowMs);
    add(slot, "calls", 1);
    if (call.code !== null) add(slot, isOurs(call.code) ? "errors" : "refused", 1);
    else if (call.broken) add(slot, "errors", 1);
    else addLatency(slot, call.durationMs);
    if (call.usage !== null) {
      add(slot, "promptTokens", call.usage.prompt);
      add(slot, "completionTokens", call.usage.completion);
    }
    add(slot, "costNanoUsd", call.costNanoUsd ?? 0);
    add(slot, "savedNanoUsd", call.savedNanoUsd ?? 0);
    if (call.cache === "hit" || call.cache === "semantic") add(slot, "cacheHits", 1);
    for (const attempt of call.attempts) this.#attempt(attempt, nowMs);
  }

  #attempt(attempt: CallRecord["attempts"][number], nowMs: number): void {
    const slot = this.#series("attempt", "", "", "", attempt.provider).slot(nowMs);
    add(slot, "calls", 1);
    if (attempt.outcome === "ok") addLatency(slot, attempt.durationMs);
    else if (attempt.uncounted !== true) add(slot, "errors", 1);
  }

  #series(kind: Names["kind"], namespace: string, route: string, target: string, provider: string): Series {
    const leaf = this.#tree.at(kind).at(namespace).at(route).at(target).at(provider);
    return (leaf.series ??= this.#newSeries({ kind, namespace, route, target, provider }));
  }

  #newSeries(names: Names): Series {
    if (this.#all.length >= maxSeries) this.#forgetIdle();
    if (this.#all.length >= maxSeries) return this.#others[names.kind];
    const series = new Series(names);
    this.#all.push(series);
    return series;
  }

  /** Drops series without calls for an hour. Runs at most once per slot, since it checks all series. */
  #forgetIdle(): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#forgotMs < trafficSlotMs) return;
    this.#forgotMs = nowMs;
    this.#all = this.#all.filter((series) => series.slots(nowMs).length > 0);
    this.#tree = newTree();
    for (const series of this.#all) {
      const { kind, namespace, route, target, provider } = series.names;
      this.#tree.at(kind).at(namespace).at(route).at(target).at(provider).series = series;
    }
  }

  read(): { series: TrafficSeries[]; marks: NamespaceMarks[] } {
    const nowMs = this.#nowMs();
    const series = [...this.#all, ...Object.values(this.#others)].map((series) => ({
      ...series.names,
      slots: series.slots(nowMs),
    }));
    return { series: series.filter(({ slots }) => slots.length > 0), marks: this.#marks.read() };
  }
}
