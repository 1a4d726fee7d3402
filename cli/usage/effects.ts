/** What a change of the config would do to the calls of the usage ledger. Pure. */

import { type LedgerDimension, type LedgerRow, ledgerDimensions, shadowUser } from "../../proxy/config/ledger.ts";
import { nounCount } from "../../proxy/config/noun-count.ts";
import { type Failure, failure, failures, isFailure } from "../../proxy/failure.ts";
import { type Called, calledUnder, knowsCaller, type ReplayedRow, replay } from "../../proxy/pipeline/replay.ts";
import type { Snapshot } from "../../proxy/snapshot/snapshot.ts";
import { BudgetReplay, type Overrun } from "./budgets.ts";
import { arrivals, type Move, movedCost, movesOf } from "./moves.ts";

/** refused: served before, not any more. served: the reverse. cost: the same target at another price. */
export type EffectKind = "refused" | "served" | "moved" | "cost";

/** The same effect on calls of the same group. */
export interface UsageEffect {
  effect: EffectKind;
  by: Partial<Record<LedgerDimension, string>>;
  /** Rounded, as shares of traffic give fractions. */
  calls: number;
  /** `provider model`; null if nothing was, or would be, asked. */
  from: string | null;
  to: string | null;
  /** The refusal. */
  status: number | null;
  code: string | null;
  message: string | null;
  beforeNanoUsd: number;
  afterNanoUsd: number;
}

export interface UsageReport {
  /** null if the ledger is empty. */
  fromMs: number | null;
  toMs: number | null;
  calls: number;
  /** By effect. */
  sums: Record<EffectKind, number>;
  beforeNanoUsd: number;
  afterNanoUsd: number;
  /** Most important first. */
  effects: UsageEffect[];
  /** Notes on what the figures don't include. */
  notes: string[];
}

type Judged = ReplayedRow | Failure;

interface ReplayedPair {
  row: LedgerRow;
  calls: number;
  before: Judged;
  after: Judged;
  /** Empty if the calls would be refused. */
  moves: Move[];
}

/** The number of answered calls: refused ones reached no provider, and would not now. */
const answered = ({ provider, requests, errors }: LedgerRow): number =>
  provider === "" ? requests - errors : requests;

const budgetRefusal = ({ budget }: NonNullable<Overrun>): Failure =>
  failure("budget_exceeded", `The budget ${budget.id} would be used up.`);

class Effects {
  readonly #groupBy: readonly LedgerDimension[];
  readonly #effects = new Map<string, UsageEffect>();
  readonly sums: Record<EffectKind, number> = { refused: 0, served: 0, moved: 0, cost: 0 };
  before = 0;
  after = 0;
  unpriced = 0;

  constructor(groupBy: readonly LedgerDimension[]) {
    this.#groupBy = groupBy;
  }

  add(
    effect: EffectKind,
    row: LedgerRow,
    what: { calls: number; before: number; after: number; from?: string; to?: string; failed?: Failure },
  ): void {
    const { calls, before, after, from = null, to = null, failed } = what;
    this.sums[effect] += calls;
    const by = Object.fromEntries(this.#groupBy.map((name) => [name, row[name]]));
    const key = JSON.stringify([effect, by, from, to, failed?.code, failed?.message]);
    const sum = this.#effects.get(key);
    this.#effects.set(key, {
      effect,
      by,
      calls: calls + (sum?.calls ?? 0),
      from,
      to,
      status: failed === undefined ? null : failures[failed.code].status,
      code: failed?.code ?? null,
      message: failed?.message ?? null,
      beforeNanoUsd: before + (sum?.beforeNanoUsd ?? 0),
      afterNanoUsd: after + (sum?.afterNanoUsd ?? 0),
    });
  }

  /** Effects below half a call and half a nano-USD are rounding errors. */
  list(): UsageEffect[] {
    const kinds: readonly EffectKind[] = ["refused", "served", "moved", "cost"];
    return [...this.#effects.values()]
      .map((effect) => ({
        ...effect,
        calls: Math.round(effect.calls),
        beforeNanoUsd: Math.round(effect.beforeNanoUsd),
        afterNanoUsd: Math.round(effect.afterNanoUsd),
      }))
      .filter(({ calls, beforeNanoUsd, afterNanoUsd }) => calls > 0 || beforeNanoUsd !== afterNanoUsd)
      .sort((a, b) => kinds.indexOf(a.effect) - kinds.indexOf(b.effect) || b.calls - a.calls);
  }
}

/** Adds the effects on a row's calls, of which budgets refuse a share before and after the change. */
function addPair(effects: Effects, pair: ReplayedPair, was: Overrun, will: Overrun): void {
  const { row, before, after } = pair;
  if (isFailure(before)) {
    if (!isFailure(after)) addServed(effects, pair, after, before, 1);
    return;
  }
  if (isFailure(after)) {
    addRefused(effects, pair, after, 1);
    return;
  }
  const [shareBefore, shareAfter] = [was?.share ?? 0, will?.share ?? 0];
  if (will !== null && shareAfter > shareBefore)
    addRefused(effects, pair, budgetRefusal(will), shareAfter - shareBefore);
  if (was !== null && shareBefore > shareAfter)
    addServed(effects, pair, after, budgetRefusal(was), shareBefore - shareAfter);
  const rest = 1 - Math.max(shareBefore, shareAfter);
  effects.before += row.costNanoUsd * rest;
  for (const move of pair.moves) addMove(effects, pair, move, rest);
}

function addRefused(effects: Effects, { row, calls }: ReplayedPair, failed: Failure, part: number): void {
  const before = row.costNanoUsd * part;
  effects.before += before;
  effects.add("refused", row, { calls: calls * part, before, after: 0, failed });
}

function addServed(effects: Effects, pair: ReplayedPair, after: ReplayedRow, failed: Failure, part: number): void {
  const { row, calls } = pair;
  for (const { to, share, after: cost } of arrivals(row, after)) {
    effects.add("served", row, { calls: calls * share * part, before: 0, after: cost * part, to, failed });
    effects.after += cost * part;
  }
}

function addMove(effects: Effects, { row, calls }: ReplayedPair, move: Move, part: number): void {
  const { from, to } = move;
  const what = { calls: calls * move.share * part, before: move.before * part, after: move.after * part, from, to };
  effects.after += what.after;
  if (move.unpriced) effects.unpriced += what.calls;
  if (from !== to) effects.add("moved", row, what);
  else if (Math.round(what.before) !== Math.round(what.after)) effects.add("cost", row, what);
}

/** Runs one hour's rows through the budgets of one config. Calls that are refused anyway spend nothing. */
function overruns(
  budgets: BudgetReplay,
  rows: readonly { row: LedgerRow; judged: Judged; nanoUsd: number }[],
): Overrun[] {
  const spending = rows.flatMap(({ row, judged, nanoUsd }) =>
    isFailure(judged) ? [] : [{ row, replayed: judged, nanoUsd }],
  );
  const refused = budgets.hour(spending)[Symbol.iterator]();
  return rows.map(({ judged }) => (isFailure(judged) ? null : (refused.next().value ?? null)));
}

const memoKey = (row: LedgerRow): string => JSON.stringify(ledgerDimensions.map((name) => row[name]));

class Comparison {
  readonly #before: Snapshot;
  readonly #after: Snapshot;
  readonly #nowMs: number;
  readonly #called = new Map<string, Called>();

  constructor(before: Snapshot, after: Snapshot, nowMs: number) {
    this.#before = before;
    this.#after = after;
    this.#nowMs = nowMs;
  }

  pairs(rows: readonly LedgerRow[]): { pairs: ReplayedPair[]; left: LeftOut } {
    const left = { unanswered: 0, unknown: 0 };
    const pairs: ReplayedPair[] = [];
    for (const row of rows) {
      const calls = row.route === "" || row.model === "" ? 0 : answered(row);
      left.unanswered += row.requests - calls;
      if (!this.#isKnown(row)) left.unknown += calls;
      else if (calls > 0 || row.costNanoUsd > 0) pairs.push(this.#pair(row, calls));
    }
    return { pairs, left };
  }

  #isKnown(row: LedgerRow): boolean {
    return knowsCaller(row, this.#before) || knowsCaller(row, this.#after);
  }

  #pair(row: LedgerRow, calls: number): ReplayedPair {
    const key = memoKey(row);
    const called = this.#called.get(key) ?? calledUnder(row, this.#before, this.#nowMs);
    this.#called.set(key, called);
    const before = replay(row, called, this.#before, this.#nowMs);
    const after = replay(row, called, this.#after, this.#nowMs);
    const pair = { row, calls, before, after };
    if (isFailure(after)) return { ...pair, moves: [] };
    return { ...pair, moves: isFailure(before) ? arrivals(row, after) : movesOf(row, before, after) };
  }
}

interface LeftOut {
  /** Calls that no model answered: refused ones, and lists of models. */
  unanswered: number;
  unknown: number;
}

function notesOf(left: LeftOut, unpriced: number): string[] {
  const notes: string[] = [];
  if (left.unanswered > 0)
    notes.push(`left out: ${nounCount(left.unanswered, "call")} that no model answered, most of them refused`);
  if (left.unknown > 0) notes.push(`left out: ${nounCount(left.unknown, "call")} of callers that neither folder has`);
  if (Math.round(unpriced) > 0)
    notes.push(`without a cost in these figures: ${nounCount(Math.round(unpriced), "call")} to models without a price`);
  return notes;
}

/** Adds the effects of all pairs, hour by hour, because budgets fill up. */
function addAll(effects: Effects, pairs: readonly ReplayedPair[]): void {
  const budgets = { before: new BudgetReplay(), after: new BudgetReplay() };
  const hours = [...Map.groupBy(pairs, ({ row }) => row.hourMs)].sort(([a], [b]) => a - b);
  for (const [, hour] of hours) {
    const was = overruns(
      budgets.before,
      hour.map(({ row, before }) => ({ row, judged: before, nanoUsd: row.costNanoUsd })),
    );
    const will = overruns(
      budgets.after,
      hour.map(({ row, after, moves }) => ({ row, judged: after, nanoUsd: movedCost(moves) })),
    );
    for (const [index, pair] of hour.entries()) addPair(effects, pair, was[index] ?? null, will[index] ?? null);
  }
}

const rounded = (sums: Effects["sums"]): UsageReport["sums"] => ({
  refused: Math.round(sums.refused),
  served: Math.round(sums.served),
  moved: Math.round(sums.moved),
  cost: Math.round(sums.cost),
});

/** `groupBy`: the dimension by which effects are listed. */
export function usageEffects(
  all: readonly LedgerRow[],
  change: { before: Snapshot; after: Snapshot; nowMs: number; groupBy: readonly LedgerDimension[] },
): UsageReport {
  // Copies to shadows aren't calls of a caller.
  const rows = all.filter(({ user }) => user !== shadowUser);
  const { pairs, left } = new Comparison(change.before, change.after, change.nowMs).pairs(rows);
  const effects = new Effects(change.groupBy);
  addAll(effects, pairs);
  const moments = rows.map(({ hourMs }) => hourMs);
  return {
    fromMs: moments.length === 0 ? null : moments.reduce((a, b) => Math.min(a, b)),
    toMs: moments.length === 0 ? null : moments.reduce((a, b) => Math.max(a, b)) + 3_600_000,
    calls: pairs.reduce((sum, { calls }) => sum + calls, 0),
    sums: rounded(effects.sums),
    beforeNanoUsd: Math.round(effects.before),
    afterNanoUsd: Math.round(effects.after),
    effects: effects.list(),
    notes: notesOf(left, effects.unpriced),
  };
}
