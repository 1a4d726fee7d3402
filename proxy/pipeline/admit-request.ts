/** Input of the stage `admit`, and the parts that it uses. */
import type { Identity } from "../call/identity.ts";
import type { SessionRoom } from "../call/session-room.ts";
import type { Shaped } from "../call/shaped.ts";
import type { Quotas } from "../fleet/quotas.ts";
import type { SessionTimes } from "../fleet/session-times.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Route, Snapshot } from "../snapshot/snapshot.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { Addressed } from "./address.ts";
import type { Recounts } from "./recounts.ts";
import type { UsageHabits } from "./usage-habits.ts";

export interface AdmitRequest {
  client: Pick<ClientConnection, "always" | "method" | "path">;
  surface: Addressed["surface"];
  snapshot: Snapshot;
  route: Route;
  identity: Identity;
  /** null for calls that pass through unread (files, batches, fine-tuning), which count as a request without tokens. */
  shaped: Shaped | null;
  /** Every target that the call may be sent to. */
  targets: readonly ResolvedTarget[];
  /** The model's name in the route. */
  model: string;
  /** As returned by `sessionOf`; "" for none. */
  session: string;
}

export interface Admitter {
  sessions: SessionRoom;
  quotas: Quotas;
  /** Absent if nothing is counted. */
  sessionTimes?: SessionTimes;
  /** Absent if no budget's terms ever change. */
  recounts?: Recounts;
  habits: UsageHabits;
  nowMs(): number;
  random(): number;
}
