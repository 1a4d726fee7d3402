/** Failed attempts that say something about their target, for canaries and alerts. */
import type { AttemptRecord } from "../call/record.ts";
import type { FailureClass } from "../config/route.ts";

/** Failures that are the target's fault; others say nothing about it. */
const targetFaults: ReadonlySet<string> = new Set<FailureClass>([
  "RateLimited",
  "Unavailable",
  "Timeout",
  "ServerError",
  "Unauthorized",
]);

export const isTargetFault = ({ outcome, uncounted }: AttemptRecord): boolean =>
  targetFaults.has(outcome) && uncounted !== true;
