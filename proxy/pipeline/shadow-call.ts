/** A call that may be copied to its policy's shadow, and what its copy needs. */
import type { Identity } from "../call/identity.ts";
import type { CallRecord } from "../call/record.ts";
import type { Shaped } from "../call/shaped.ts";
import type { Comparison, ShadowDrop } from "../config/shadow-report.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { Admitter } from "./admit-request.ts";
import type { AnswerLimits } from "./attempt-result.ts";
import type { Dispatcher } from "./dispatch-request.ts";
import type { Missed } from "./proof.ts";

/** Records what became of copies. */
export interface ShadowRecorder {
  /** `comparison`: null if it was broken off, and is only charged. */
  copied(copy: CallRecord, comparison: Comparison | null): void;
  dropped(policy: string, reason: ShadowDrop): void;
}

/** A call that is about to be sent. */
export interface ShadowCall {
  client: ClientConnection;
  route: Route;
  identity: Identity;
  shaped: Shaped;
  /** The proof that the cache has no answer, required before a provider is asked. */
  missed: Missed;
  forwarded: Record<string, string>;
  /** What must not appear in records. */
  secrets(): readonly string[];
  /** The only provider that can be asked, because it keeps the state that the call continues from; null for any. */
  account: string | null;
  record: CallRecord;
}

/** The components that make a copy. */
export interface CopyWith extends Dispatcher, Admitter {
  limits: AnswerLimits;
  unexpected(cause: unknown, requestId: string): void;
}
