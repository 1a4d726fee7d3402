/** Label selectors, as Kubernetes defines them. */
import type { KeySelector } from "../../crds/types/budget.ts";
import { own } from "./outcome.ts";

type Labels = Readonly<Record<string, string>>;

function holds(
  { key, operator, values = [] }: NonNullable<KeySelector["matchExpressions"]>[number],
  labels: Labels,
): boolean {
  const value = own(labels, key);
  if (operator === "Exists") return value !== undefined;
  if (operator === "DoesNotExist") return value === undefined;
  // A missing label is in no list.
  return operator === "In"
    ? value !== undefined && values.includes(value)
    : value === undefined || !values.includes(value);
}

export function matchesSelector({ matchLabels = {}, matchExpressions = [] }: KeySelector, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([name, value]) => own(labels, name) === value) &&
    matchExpressions.every((expression) => holds(expression, labels))
  );
}

export interface Selecting {
  /** Id of the budget, `namespace/name`. */
  id: string;
  namespace: string;
  selector: KeySelector;
}

/**
 * Ids of the budgets that select a key by its labels, sorted. The key lists them, so that a new key changes no budget.
 */
export function budgetsOf(labels: Labels, candidates: readonly Selecting[]): string[] {
  return candidates
    .filter(({ selector }) => matchesSelector(selector, labels))
    .map(({ id }) => id)
    .sort();
}
