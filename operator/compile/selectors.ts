/** Label selectors, with the meaning that Kubernetes gives them. */
import type { KeySelector } from "../../crds/types/budget.ts";
import type { KeyRecord } from "../../proxy/config/schema.ts";
import { idOf, own } from "./outcome.ts";
import type { World } from "./world.ts";

type Labels = Readonly<Record<string, string>>;

function holds({ key, operator, values = [] }: NonNullable<KeySelector["matchExpressions"]>[number], labels: Labels): boolean {
  const value = own(labels, key);
  if (operator === "Exists") return value !== undefined;
  if (operator === "DoesNotExist") return value === undefined;
  // A label that isn't there is in no list.
  return operator === "In" ? value !== undefined && values.includes(value) : value === undefined || !values.includes(value);
}

export function matches({ matchLabels = {}, matchExpressions = [] }: KeySelector, labels: Labels): boolean {
  return Object.entries(matchLabels).every(([name, value]) => own(labels, name) === value) && matchExpressions.every((one) => holds(one, labels));
}

export interface Selecting {
  /** Of the budget, `namespace/name`. */
  id: string;
  namespace: string;
  selector: KeySelector;
}

/** Key records that name the budgets which pick them: so a new key touches no budget, and no key but itself. */
export function withBudgets(keys: readonly KeyRecord[], selecting: readonly Selecting[], { objects }: World): KeyRecord[] {
  if (selecting.length === 0) return [...keys];
  const byNamespace = Map.groupBy(selecting, (one) => one.namespace);
  const labels = new Map(objects.filter(({ kind }) => kind === "ApiKey").map(({ meta }) => [idOf(meta), meta.labels]));
  return keys.map((key) => {
    const candidates = byNamespace.get(key.id.split("/", 1)[0] ?? "") ?? [];
    const budgets = candidates.filter(({ selector }) => matches(selector, labels.get(key.id) ?? {})).map(({ id }) => id);
    return budgets.length === 0 ? key : { ...key, budgets: budgets.sort() };
  });
}
