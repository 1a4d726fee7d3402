/** How long a call's session may last, and whether its time is over. */
import type { BudgetConfig } from "../config/budget.ts";
import type { SessionTimeConfig } from "../config/limits.ts";
import { type Failure, failure } from "../failure.ts";
import type { SessionTimes } from "../fleet/session-times.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { type LimitSubject, unavailable } from "./limit-claims.ts";
import { covering, type ScopeSubject } from "./scope.ts";

/** A limit on the time of a session, and who sets it. */
interface TimeLimit {
  limit: SessionTimeConfig;
  by: string;
}

type Subject = Pick<LimitSubject, "route" | "budgets" | "session">;

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** In hours and minutes, or in seconds below a minute. */
export function timeSpan(ms: number): string {
  if (ms < minuteMs) return `${Math.floor(ms / 1_000)} s`;
  const hours = Math.floor(ms / hourMs);
  const minutes = Math.floor((ms % hourMs) / minuteMs);
  if (hours === 0) return `${minutes} min`;
  return minutes === 0 ? `${hours} h` : `${hours} h ${minutes} min`;
}

/** The shortest limit that covers the call; null if sessions may last indefinitely. */
export function timeLimitOf({ route, budgets }: Omit<Subject, "session">): TimeLimit | null {
  const own = route.config.sessionTime;
  let shortest: TimeLimit | null = own === undefined ? null : { limit: own, by: `the policy ${route.config.id}` };
  for (let index = 0; index < budgets.length; index++) {
    const { id, sessionTime } = budgets[index] as BudgetConfig;
    if (sessionTime !== undefined && (shortest === null || sessionTime.maxMs < shortest.limit.maxMs))
      shortest = { limit: sessionTime, by: `the Budget ${id}` };
  }
  return shortest;
}

function judge(age: number, { limit, by }: TimeLimit): Failure | null {
  if (age < limit.maxMs) return null;
  return failure(
    "session_time_exceeded",
    `This session began ${timeSpan(age)} ago, and ${by} lets a session last ${timeSpan(limit.maxMs)}. Start a new session.`,
  );
}

export interface SessionReport {
  name: string;
  /** How long it may last from its first call, in milliseconds; null if indefinitely. */
  maxMs: number | null;
  /** The policy or Budget that sets the limit. */
  by: string | null;
}

export function sessionReport(name: string, call: ScopeSubject, snapshot: Snapshot, nowMs: number): SessionReport {
  const limit = timeLimitOf({ route: call.route, budgets: covering(snapshot, call, nowMs) });
  return { name, maxMs: limit?.limit.maxMs ?? null, by: limit?.by ?? null };
}

/** Calls without a session, and those of sessions beyond the number that a proxy tracks, are never too late. */
const namesNone = (session: string): boolean => session === "" || session.startsWith("@");

/** Why a call comes too late in its session; null if it does not. */
export function sessionOvertime(
  call: Subject,
  times: SessionTimes | undefined,
): Failure | null | Promise<Failure | null> {
  const timeLimit = times === undefined ? null : timeLimitOf(call);
  if (timeLimit === null || times === undefined) return null;
  const session = call.session();
  if (namesNone(session)) return null;
  const judged = (age: number | null): Failure | null => {
    if (age !== null) return judge(age, timeLimit);
    if (timeLimit.limit.onStateLoss === "deny") return unavailable("how long this session has lasted");
    times.beginAlone(session);
    return null;
  };
  const age = times.age(session);
  return age instanceof Promise ? age.then(judged) : judged(age);
}
