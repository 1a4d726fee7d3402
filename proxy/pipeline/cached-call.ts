import type { ResponseCache } from "../cache/cache.ts";
import type { Identity } from "../call/identity.ts";
import type { CallRecord } from "../call/record.ts";
import type { Shaped } from "../call/shaped.ts";
import type { Failure } from "../failure.ts";
import type { Route, Snapshot } from "../snapshot/snapshot.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { Addressed } from "./address.ts";
import type { AnswerLimits } from "./attempt-result.ts";
import type { CallOutcome } from "./call-state.ts";
import type { EmbedWith } from "./embed.ts";
import type { Missed, OnRecord } from "./proof.ts";

/** Input of the stage `cached`. */
export interface CachedCall {
  client: ClientConnection;
  gateway: EmbedWith & { cache: ResponseCache; limits: AnswerLimits };
  surface: Addressed["surface"];
  snapshot: Snapshot;
  route: Route;
  identity: Identity;
  shaped: Shaped;
  record: CallRecord;
  /** The remaining stages, up to the provider and to the end of its answer. */
  go(missed: Missed): Failure | null | Promise<Failure | null>;
  /** The same, without waiting for the end of the call. */
  goOn(missed: Missed): CallOutcome;
  onRecord: OnRecord;
  /** How long the call has taken so far, in milliseconds. */
  elapsedMs(): number;
}
