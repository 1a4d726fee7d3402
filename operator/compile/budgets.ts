/** Budget → BudgetConfig. */
import { decimalToNano } from "../../crds/quantity.ts";
import { budgetFacts } from "../../crds/types/alerts.ts";
import type { BudgetSpec, KeySelector } from "../../crds/types/budget.ts";
import type { BudgetConfig } from "../../proxy/config/budget.ts";
import { equal } from "../../proxy/config/incremental.ts";
import type { Currency } from "../../proxy/config/usage-report.ts";
import { type Channel, type ChannelName, channelNames, compileChannels } from "./alerts.ts";
import { compileLimits, compileSessionTime } from "./limits.ts";
import { isError, type ParsedObject, problem } from "./outcome.ts";
import { knownTimeZone } from "./time-zone.ts";
import type { Problem } from "./verdict.ts";
import type { World } from "./world.ts";

const sorted = (names: string[] | undefined): string[] | null => (names === undefined ? null : [...names].sort());

const sameTerms = (a: BudgetConfig, b: BudgetConfig): boolean =>
  a.period === b.period && a.timeZone === b.timeZone && a.per === b.per && equal(a.scope, b.scope);

/**
 * Since when the budget counts by its present terms. The published config holds the previous terms; a new Budget, and
 * one whose terms never changed, has none.
 */
function countingOf(
  config: BudgetConfig,
  before: BudgetConfig | undefined,
  { createdAtMs }: ParsedObject<"Budget">["meta"],
  nowMs: number,
): Pick<BudgetConfig, "counting"> {
  if (before === undefined || before.amountNanoUsd === null || config.amountNanoUsd === null) return {};
  // The ledger doesn't know sessions, so there is nothing to count again.
  if (config.per === "Session") return {};
  const { counting = null } = before;
  if (sameTerms(before, config)) return counting === null ? {} : { counting };
  // Two edits within the same millisecond get separate counts.
  return { counting: { sinceMs: Math.max(nowMs, (counting?.sinceMs ?? 0) + 1), fromMs: createdAtMs } };
}

export interface CompiledBudget {
  /** null if nothing can be enforced. */
  config: BudgetConfig | null;
  /** null if it does not select by labels. */
  selector: KeySelector | null;
  /** null if it limits no money. */
  watch: BudgetWatch | null;
  /** Problems in parts of it. The rest is still enforced. */
  accepted: Problem[];
  resolvedRefs: Problem[];
}

/** The part of a Budget's spec that its standing depends on. */
export interface BudgetRules {
  config: BudgetConfig & { amountNanoUsd: number };
  /** Percent, ascending. */
  thresholds: readonly number[];
  spike: { factor: number; minimumNanoUsd: number } | null;
  /** Currency in which the status shows amounts as well; absent for USD only. */
  currency?: Currency;
}

/** What the operator needs to watch a budget. */
export interface BudgetWatch extends BudgetRules {
  /** Channels that can be used. */
  channels: readonly Channel[];
  /** All channels that the spec names. */
  named: readonly ChannelName[];
}

export interface BudgetContext {
  world: World;
  /** Whether the installation has a mail server. */
  mail: boolean;
  currency?: Currency;
  /** The budget as it is published now. */
  before: BudgetConfig | undefined;
  nowMs: number;
}

/**
 * Enforcement is separate from alerts, and so is each enforced part: an error in one leaves the others in force. The
 * faulty part stays as it was published.
 */
export function compileBudget(budget: ParsedObject<"Budget">, context: BudgetContext): CompiledBudget {
  const accepted: Problem[] = [];
  const resolvedRefs: Problem[] = [];
  const config = enforcementOf(budget, context, accepted);
  const { spec } = budget;
  return {
    config,
    watch: watchOf(budget, config, context, accepted, resolvedRefs),
    selector: spec.scope.selector ?? null,
    accepted,
    resolvedRefs,
  };
}

/** null if there is no valid time zone. */
function timeZoneOf(timeZone: string, before: BudgetConfig | undefined, accepted: Problem[]): string | null {
  if (knownTimeZone(timeZone)) return timeZone;
  const until = before === undefined ? "" : `; until it is fixed, ${before.timeZone} is used`;
  const message = `spec.timeZone: ${timeZone} is not an IANA time zone, such as Asia/Tokyo${until}`;
  accepted.push(problem("Invalid", message, ["spec", "timeZone"]));
  return before?.timeZone ?? null;
}

function limitsOf(
  { limits, per }: BudgetSpec,
  before: BudgetConfig | undefined,
  accepted: Problem[],
): Pick<BudgetConfig, "limits" | "sessionTime"> {
  const wrong: Problem[] = [];
  const compiled = { limits: compileLimits(limits, wrong, per ?? "Route"), ...compileSessionTime(limits, wrong) };
  accepted.push(...wrong);
  if (!wrong.some(isError)) return compiled;
  const { limits: kept = [], sessionTime } = before ?? {};
  return { limits: kept, ...(sessionTime === undefined ? {} : { sessionTime }) };
}

function enforcementOf(
  { id, spec, meta }: ParsedObject<"Budget">,
  { before, nowMs }: BudgetContext,
  accepted: Problem[],
): BudgetConfig | null {
  const timeZone = timeZoneOf(spec.timeZone, before, accepted);
  const limits = limitsOf(spec, before, accepted);
  if (timeZone === null) return null;
  const { scope } = spec;
  const config: BudgetConfig = {
    id,
    amountNanoUsd: spec.amount === undefined ? null : decimalToNano(spec.amount),
    period: spec.period ?? "Total",
    timeZone,
    namespace: meta.namespace,
    scope: {
      users: sorted(scope.users),
      teams: sorted(scope.teams),
      roles: sorted(scope.roles),
      tags: sorted(scope.tags),
      models: sorted(scope.models),
      providers: sorted(scope.providers?.map((name) => `${meta.namespace}/${name}`)),
      selected: scope.selector !== undefined,
      ...(scope.selector === undefined ? {} : { selector: selectorText(scope.selector) }),
      apiKeys: sorted(scope.apiKeys?.map((name) => `${meta.namespace}/${name}`)),
    },
    per: spec.per ?? null,
    enforcement: spec.enforcement,
    throttle:
      spec.throttle === undefined ? null : { at: spec.throttle.atPercent / 100, pass: spec.throttle.passPercent / 100 },
    ...limits,
    expiresAtMs: spec.expiresAt === undefined ? null : Date.parse(spec.expiresAt),
    onStateLoss: spec.onStateLoss === "Allow" ? "allow" : "deny",
    ...(spec.contact === undefined ? {} : { contact: spec.contact }),
    seeds: [],
  };
  return { ...config, ...countingOf(config, before, meta, nowMs) };
}

/** Equal terms give equal text, so that a change shows. */
function selectorText({ matchLabels = {}, matchExpressions = [] }: KeySelector): string {
  const labels = Object.entries(matchLabels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([labels, matchExpressions.map(({ key, operator, values = [] }) => [key, operator, values])]);
}

/** For a budget that can't be read now. */
export function publishedSelector({ scope: { selector } }: BudgetConfig): KeySelector | null {
  if (selector === undefined) return null;
  const [labels, expressions] = JSON.parse(selector) as [
    [string, string][],
    [string, NonNullable<KeySelector["matchExpressions"]>[number]["operator"], string[]][],
  ];
  const matchExpressions = expressions.map(([key, operator, values]) => ({ key, operator, values }));
  return { matchLabels: Object.fromEntries(labels), ...(matchExpressions.length === 0 ? {} : { matchExpressions }) };
}

/** null if it limits no money. */
function watchOf(
  { spec, meta }: ParsedObject<"Budget">,
  config: BudgetConfig | null,
  { world, mail, currency }: BudgetContext,
  accepted: Problem[],
  resolvedRefs: Problem[],
): BudgetWatch | null {
  const channels = compileChannels(spec.alerts, budgetFacts, {
    ...{ namespace: meta.namespace, world, mail },
    ...{ accepted, refs: resolvedRefs },
  });
  const amountNanoUsd = config?.amountNanoUsd ?? null;
  if (config === null || amountNanoUsd === null) return null;
  const spike =
    spec.spike === undefined
      ? null
      : { factor: Number(spec.spike.factor), minimumNanoUsd: decimalToNano(spec.spike.minimum) };
  const thresholds = [...spec.thresholds].sort((a, b) => a - b);
  return {
    config: { ...config, amountNanoUsd },
    thresholds,
    spike,
    channels,
    named: channelNames(spec.alerts),
    ...(currency === undefined ? {} : { currency }),
  };
}
