/** An object's state in words, from its status. */
import type { Kind } from "../../../crds/kinds.ts";
import { idOf } from "../../compile/outcome.ts";
import { type Condition, isAmiss, previousConditions } from "../../compile/status.ts";
import type { WorldObject } from "../../compile/world.ts";

export interface ObjectState {
  kind: Kind;
  id: string;
  /** served: as specified. degraded: with a problem. failed: not served. pending: not reported yet. */
  state: "served" | "degraded" | "failed" | "pending";
  why: string;
  since: string | null;
  conditions: Pick<Condition, "type" | "status" | "reason" | "message" | "lastTransitionTime">[];
}

/** A rollout in progress isn't a problem. */
const underWay: ReadonlySet<string> = new Set(["Pending"]);
const notServed: ReadonlySet<string> = new Set(["NotServed", "LastGood", "Unreachable"]);

export function objectState({ kind, meta, status }: WorldObject): ObjectState {
  const conditions = previousConditions(status);
  const amiss = conditions.filter(isAmiss);
  const wrong = amiss.find(({ reason }) => !underWay.has(reason)) ?? amiss[0];
  const shown = conditions.map(({ type, status: is, reason, message, lastTransitionTime }) => ({
    type,
    status: is,
    reason,
    message,
    lastTransitionTime,
  }));
  const base = { kind, id: idOf(meta), conditions: shown };
  if (conditions.length === 0)
    return { ...base, state: "pending", why: "the operator has not reported on it yet", since: null };
  if (wrong === undefined) return { ...base, state: "served", why: "", since: null };
  const state = underWay.has(wrong.reason)
    ? "pending"
    : amiss.some(({ reason }) => notServed.has(reason))
      ? "failed"
      : "degraded";
  return { ...base, state, why: wrong.message, since: wrong.lastTransitionTime };
}

const states: readonly ObjectState["state"][] = ["failed", "degraded", "pending", "served"];

/** The most urgent state has the lowest number. */
export const urgencyOf = (state: ObjectState["state"]): number => states.indexOf(state);
