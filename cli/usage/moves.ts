/** Where the calls of a ledger row went, and where they would go instead. Pure. */
import type { LedgerRow } from "../../proxy/config/ledger.ts";
import { costOfRow, type ReplayedRow } from "../../proxy/pipeline/replay.ts";
import type { TargetShare } from "../../proxy/routing/shares.ts";
import type { ResolvedTarget } from "../../proxy/snapshot/resolved-target.ts";

/** `namespace/name` of the provider and its own name for the model. */
export const placeOf = ({ config, model }: ResolvedTarget): string => `${config.provider} ${model.config.upstream}`;

/** A share of a row's calls. */
export interface Move {
  /** 0 to 1. The shares of a row's moves add up to 1. */
  share: number;
  /** Equal to `to` for calls that stay where they are. */
  from: string;
  to: string;
  /** nano-USD for that share; not rounded. */
  before: number;
  after: number;
  /** Whether the new target has no price. */
  unpriced: boolean;
}

type Shares = ReadonlyMap<string, TargetShare>;

function sharesOf(shares: readonly TargetShare[]): Shares {
  const byPlace = new Map<string, TargetShare>();
  for (const { target, share } of shares) {
    const place = placeOf(target);
    byPlace.set(place, { target, share: share + (byPlace.get(place)?.share ?? 0) });
  }
  return byPlace;
}

/** The targets that served the row under the old config, with shares that add up to 1. */
function sources(row: LedgerRow, { targets, shares }: ReplayedRow): TargetShare[] {
  const here = shares.filter(({ target, share }) => target.config.provider === row.provider && share > 0);
  const sum = here.reduce((all, { share }) => all + share, 0);
  if (sum > 0) return here.map(({ target, share }) => ({ target, share: share / sum }));
  // If a target fails, calls go elsewhere than planned.
  const other = targets.find(({ config }) => config.provider === row.provider);
  if (other !== undefined) return [{ target: other, share: 1 }];
  // These calls were made under a still older config; under the old one, they would go where all others go.
  return [...shares];
}

/** Where calls that leave a target go: to those whose shares grow, by how much they grow. */
function gains(old: Shares, now: Shares): TargetShare[] {
  const grown = [...now].map(([place, { target, share }]) => ({
    target,
    share: Math.max(0, share - (old.get(place)?.share ?? 0)),
  }));
  const sum = grown.reduce((all, { share }) => all + share, 0);
  const shares = sum > 0 ? grown : [...now.values()];
  const total = sum > 0 ? sum : shares.reduce((all, { share }) => all + share, 0);
  return shares.filter(({ share }) => share > 0).map(({ target, share }) => ({ target, share: share / total }));
}

/** How much of a target's calls it keeps, 0 to 1. */
function kept(place: string, old: Shares, now: Shares, next: ReplayedRow): number {
  const before = old.get(place)?.share ?? 0;
  if (before === 0) return next.targets.some((target) => placeOf(target) === place) ? 1 : 0;
  return Math.min(1, (now.get(place)?.share ?? 0) / before);
}

function moved(row: LedgerRow, share: number, from: ResolvedTarget | null, to: ResolvedTarget): Move {
  const before = row.costNanoUsd * share;
  const [was, will] = [from === null ? null : costOfRow(row, from), costOfRow(row, to)];
  // Adding the difference in price keeps costs that tokens don't explain, such as the use of tools.
  const change = will === null ? -row.costNanoUsd : will - (was ?? row.costNanoUsd);
  return {
    share,
    from: from === null ? row.provider : placeOf(from),
    to: placeOf(to),
    before,
    after: Math.max(0, before + change * share),
    unpriced: will === null,
  };
}

/** Moves no more calls than the change in shares requires. */
export function movesOf(row: LedgerRow, previous: ReplayedRow, next: ReplayedRow): Move[] {
  const [old, now] = [sharesOf(previous.shares), sharesOf(next.shares)];
  const leaving = gains(old, now);
  const leave = (share: number, from: ResolvedTarget): Move[] =>
    share === 0 ? [] : leaving.map(({ target, share: part }) => moved(row, share * part, from, target));
  return sources(row, previous).flatMap(({ target, share }) => {
    const place = placeOf(target);
    const stays = kept(place, old, now, next);
    const same = next.targets.find((target) => placeOf(target) === place) ?? target;
    return [...(stays === 0 ? [] : [moved(row, share * stays, target, same)]), ...leave(share * (1 - stays), target)];
  });
}

/** Where calls would go that were not served before. */
export const arrivals = (row: LedgerRow, { shares }: ReplayedRow): Move[] =>
  shares.map(({ target, share }) => moved(row, share, null, target));

/** The row's total cost, for budgets. */
export const movedCost = (moves: readonly Move[]): number => moves.reduce((sum, { after }) => sum + after, 0);
