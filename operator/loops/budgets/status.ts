/** The state of a Budget as its status and conditions, and back. Pure. */
import type { BudgetStatus } from "../../../crds/types/budget-status.ts";
import { type Currency, inCurrency } from "../../../proxy/config/usage-report.ts";
import type { BudgetRules } from "../../compile/budgets.ts";
import { isExpired } from "./crossings.ts";
import { isoTime, nanoOfText, resetTime, usdText } from "./money.ts";
import type { BudgetState } from "./state.ts";

const isMoney = (text: string): boolean => /^\d{1,15}(\.\d{1,9})?$/.test(text);
const isTime = (text: string): boolean => Number.isFinite(Date.parse(text));

/** Someone who may write a status must not be able to break the pass that reads it. */
function isSound({
  countingSince,
  amount,
  periodStart,
  resetsAt,
  spent,
  groups = [],
  crossings = [],
  unresolved = [],
  history = [],
}: BudgetStatus): boolean {
  const times = [
    countingSince,
    periodStart,
    resetsAt,
    ...crossings.map(({ at }) => at),
    ...unresolved.flatMap((incident) => [incident.at, incident.periodStart]),
  ];
  const money = [amount, spent, ...[...groups, ...crossings, ...history].map((entry) => entry.spent)];
  return (
    times.every((time) => time === undefined || isTime(time)) && money.every((sum) => sum === undefined || isMoney(sum))
  );
}

/** null if the status has no period, or an impossible one. */
export function stateFromStatus(status: BudgetStatus): BudgetState | null {
  if (status.periodStart === undefined || !isSound(status)) return null;
  return {
    sinceMs: status.countingSince === undefined ? null : Date.parse(status.countingSince),
    amountNanoUsd: status.amount === undefined ? null : nanoOfText(status.amount),
    rearmed: status.rearmed ?? 0,
    periodStartMs: Date.parse(status.periodStart),
    resetsAtMs: status.resetsAt === undefined ? null : Date.parse(status.resetsAt),
    spentNanoUsd: nanoOfText(status.spent),
    groupCount: status.groupCount ?? 0,
    groups: new Map(
      (status.groups ?? [{ subject: "", spent: status.spent ?? "0" }]).map(({ subject, spent }) => [
        subject,
        nanoOfText(spent),
      ]),
    ),
    refused: new Set(
      (status.crossings ?? []).filter((crossing) => crossing.percent === 100).map(({ subject }) => subject),
    ),
    crossings: status.crossings ?? [],
    unresolved: status.unresolved ?? [],
    history: status.history ?? [],
  };
}

function converted(
  { per, amountNanoUsd }: BudgetRules["config"],
  spentNanoUsd: number,
  currency: Currency,
): NonNullable<BudgetStatus["inCurrency"]> {
  const remaining = inCurrency(Math.max(0, amountNanoUsd - spentNanoUsd), currency);
  const { code } = currency;
  return { code, spent: inCurrency(spentNanoUsd, currency), ...(per === null ? { remaining } : {}) };
}

export function statusFromState(
  { config, currency }: BudgetRules,
  state: BudgetState,
): Omit<BudgetStatus, "conditions" | "observedGeneration"> {
  const { periodStartMs, resetsAtMs, spentNanoUsd, groups, groupCount, crossings, unresolved, history } = state;
  const { sinceMs, amountNanoUsd, rearmed } = state;
  return {
    ...(amountNanoUsd === null ? {} : { amount: usdText(amountNanoUsd) }),
    ...(sinceMs === null ? {} : { countingSince: isoTime(sinceMs) }),
    ...(rearmed === 0 ? {} : { rearmed }),
    periodStart: isoTime(periodStartMs),
    ...(resetsAtMs === null ? {} : { resetsAt: resetTime(resetsAtMs) }),
    spent: usdText(spentNanoUsd),
    ...(currency === undefined ? {} : { inCurrency: converted(config, spentNanoUsd, currency) }),
    ...(config.per === null
      ? { remaining: usdText(Math.max(0, config.amountNanoUsd - spentNanoUsd)) }
      : { groupCount, groups: [...groups].map(([subject, spent]) => ({ subject, spent: usdText(spent) })) }),
    ...(crossings.length === 0 ? {} : { crossings: [...crossings] }),
    ...(unresolved.length === 0 ? {} : { unresolved: [...unresolved] }),
    ...(history.length === 0 ? {} : { history: [...history] }),
  };
}

interface Verdict {
  status: "True" | "False";
  reason: string;
  message: string;
}

/** The condition `Expired`; null if the budget never expires. */
export function expired({ config: { expiresAtMs } }: BudgetRules, nowMs: number): Verdict | null {
  if (expiresAtMs === null) return null;
  const moment = isoTime(expiresAtMs);
  return nowMs >= expiresAtMs
    ? {
        status: "True",
        reason: "Expired",
        message: `no part of it has been in force since ${moment}; delete it, or move spec.expiresAt`,
      }
    : { status: "False", reason: "InForce", message: `it is in force until ${moment}` };
}

/** The condition `Exceeded`. */
export function exceeded(watch: BudgetRules, state: BudgetState, nowMs = 0): Verdict {
  const { config } = watch;
  if (isExpired(watch, nowMs))
    return { status: "False", reason: "Expired", message: "the budget has expired and no longer limits anything" };
  const over = [...new Set([...state.groups.keys(), ...state.refused])].filter(
    (subject) => (state.groups.get(subject) ?? 0) >= config.amountNanoUsd || state.refused.has(subject),
  );
  const reset = state.resetsAtMs === null ? "it does not reset" : `it resets at ${resetTime(state.resetsAtMs)}`;
  if (over.length === 0)
    return { status: "False", reason: "WithinAmount", message: `spending is within the amount; ${reset}` };
  const what = config.enforcement === "Hard" ? "calls are refused" : "it is reported, and nothing is refused";
  if (config.per === null)
    return {
      status: "True",
      reason: "AmountReached",
      message: `the amount is used up, or what is left does not suffice for a call: ${what}; ${reset}`,
    };
  const names = over.slice(0, 10).join(", ");
  const more = over.length > 10 ? ` and ${over.length - 10} more` : "";
  return { status: "True", reason: "AmountReached", message: `used up by ${names}${more}: ${what}; ${reset}` };
}
