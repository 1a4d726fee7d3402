/** Whether a call fits in its limits and budgets if nothing of them is used. Nothing is counted anywhere. */
import type { Identity } from "../call/identity.ts";
import { SessionRoom } from "../call/session-room.ts";
import type { Shaped } from "../call/shaped.ts";
import { type Failure, isFailure } from "../failure.ts";
import { MemoryStore } from "../fleet/memory.ts";
import { Quotas } from "../fleet/quotas.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Route, Snapshot } from "../snapshot/snapshot.ts";
import type { Addressed } from "./address.ts";
import { admit } from "./admit.ts";
import { UsageHabits } from "./usage-habits.ts";

export interface UnusedCall {
  path: string;
  surface: Addressed["surface"];
  snapshot: Snapshot;
  route: Route;
  identity: Identity;
  shaped: Shaped;
  model: string;
  session: string;
}

/** Returns the targets that it may be sent to, of those given. */
export async function admitUnused(
  { path, ...call }: UnusedCall,
  targets: readonly ResolvedTarget[],
  nowMs: number,
): Promise<readonly ResolvedTarget[] | Failure> {
  const clock = { nowMs: () => nowMs, after: () => () => undefined };
  const admitter = {
    sessions: new SessionRoom(),
    quotas: new Quotas(new MemoryStore(clock.nowMs), "explain", clock),
    habits: new UsageHabits(),
    nowMs: clock.nowMs,
    random: () => 0,
  };
  const client = { method: "POST", path, always: () => undefined };
  const admitted = await admit({ ...call, client, targets }, admitter);
  return isFailure(admitted) ? admitted : admitted.targets;
}
