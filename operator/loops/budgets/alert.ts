/** Messages about a Budget's crossings. Pure. */
import type { BudgetCrossing, BudgetUnresolved } from "../../../crds/types/budget-status.ts";
import { inCurrency } from "../../../proxy/config/usage-report.ts";
import type { BudgetWatch } from "../../compile/budgets.ts";
import { type Alert, testAlert } from "../../delivery/message.ts";
import { nanoOfText, resetTime, usdText } from "./money.ts";

const noCurrency = { currency: "", spentInCurrency: "", amountInCurrency: "" };

/** The amounts in the installation's display currency, if it has one. */
function inDisplayCurrency({ config, currency }: BudgetWatch, spent: string): typeof noCurrency {
  if (currency === undefined) return noCurrency;
  return {
    currency: currency.code,
    spentInCurrency: inCurrency(nanoOfText(spent), currency),
    amountInCurrency: inCurrency(config.amountNanoUsd, currency),
  };
}

/** The properties of a budget that receivers need to understand its figures. */
const termsOf = ({ id, period, timeZone, enforcement, contact = "" }: BudgetWatch["config"]) => ({
  budget: id,
  period,
  timeZone,
  enforcement,
  contact,
});

/** For a budget that may have been deleted. */
const noTerms = { period: "", timeZone: "", enforcement: "", contact: "" };

export function budgetAlert(
  watch: BudgetWatch,
  crossing: BudgetCrossing,
  resetsAtMs: number | null,
  key: string,
): Alert {
  const { config } = watch;
  const { event, percent, subject, spent } = crossing;
  const converted = inDisplayCurrency(watch, spent);
  const { currency, spentInCurrency, amountInCurrency } = converted;
  const amount = usdText(config.amountNanoUsd);
  const resetsAt = resetsAtMs === null ? "" : resetTime(resetsAtMs);
  const whose = subject === "" ? "" : ` for ${subject}`;
  const until = resetsAt === "" ? "" : ` It resets at ${resetsAt}.`;
  const spike = event === "Spike";
  const ofAmount = spike ? "" : ` of ${amountInCurrency}`;
  const also = currency === "" ? "" : ` (${currency} ${spentInCurrency}${ofAmount})`;
  return {
    key,
    incident: key,
    event,
    state: "Active",
    severity: !spike && percent >= 100 ? "critical" : "warning",
    about: `Budget/${config.id}`,
    title: `${spike ? "spending jumps" : `${percent} %`} (${config.id})`,
    text: spike
      ? `Spending under the budget ${config.id} is at ${percent} % of a usual period: USD ${spent}${also} so far.${until}`
      : `The budget ${config.id}${whose} has reached ${percent} %: USD ${spent} of ${amount}${also}.${until}`,
    facts: { ...termsOf(config), subject, percent: String(percent), spent, amount, ...converted, resetsAt, event },
    atMs: Date.parse(crossing.at),
  };
}

type Crossed = Pick<BudgetCrossing, "event" | "percent" | "subject" | "rearmed">;

function nameOf({ event, percent, subject, rearmed }: Crossed): string {
  const name = event === "Spike" ? event : `${event} ${percent} ${subject}`;
  return rearmed === undefined ? name : `${name}|${rearmed}`;
}

/** The same from a crossing to the end of its period, or to the change of the spec that revokes it. `id`: of the Budget. */
export const budgetIncidentKey = (id: string, periodStartMs: number, crossing: Crossed): string =>
  `${id}|${periodStartMs}|${nameOf(crossing)}`;

/** The key of an ended incident, as stored in a status. `id`: of the Budget. */
export const pastBudgetIncidentKey = (id: string, incident: BudgetUnresolved): string =>
  budgetIncidentKey(id, Date.parse(incident.periodStart), incident);

/** A crossing no longer applies. Only channels with incidents are notified, and they show only which incident it was. */
export function budgetOver(id: string, unresolved: BudgetUnresolved): Alert {
  const { event, percent, subject } = unresolved;
  const incident = pastBudgetIncidentKey(id, unresolved);
  return {
    key: `${incident}|Over`,
    incident,
    event,
    state: "Over",
    severity: "info",
    about: `Budget/${id}`,
    title: `over (${id})`,
    text: `The alert of budget ${id} has ended.`,
    facts: {
      ...noTerms,
      ...noCurrency,
      budget: id,
      subject,
      percent: String(percent),
      spent: "",
      amount: "",
      resetsAt: "",
      event,
    },
    atMs: Date.parse(unresolved.at),
  };
}

export function budgetTest(watch: BudgetWatch, requestedAt: string, atMs: number): Alert {
  const { config } = watch;
  const facts = {
    ...termsOf(config),
    ...{ subject: "", percent: "0", spent: "0.00", amount: usdText(config.amountNanoUsd) },
    ...inDisplayCurrency(watch, "0"),
    ...{ resetsAt: "", event: "Test" },
  };
  return testAlert(`Budget/${config.id}`, requestedAt, facts, atMs);
}
