/** Input of dispatch, and the parts that it uses. */
import type { CallTrace } from "../call/call-trace.ts";
import type { AttemptRecord } from "../call/record.ts";

import type { Shaped } from "../call/shaped.ts";
import type { Pickers } from "../picker/pickers.ts";
import type { AuthEnvironment } from "../providers/provider.ts";
import type { Routing } from "../routing/routing.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { Deadlines } from "../wire/deadlines.ts";
import type { JsonObject } from "../wire/json.ts";
import type { ResponseHeaders, Upstreams } from "../wire/upstream.ts";
import type { AnswerHeaders } from "./answer-headers.ts";
import type { AnswerLimits } from "./attempt-result.ts";
import type { IdSealer, Prepared } from "./prepared.ts";
import type { Missed } from "./proof.ts";
import type { Admitted } from "./reservation.ts";
import type { UsageHabits } from "./usage-habits.ts";

export interface DispatchRequest {
  /** The proofs required before a provider is asked. */
  admitted: Admitted;
  missed: Missed;
  client: ClientConnection;
  shaped: Shaped;
  route: Route;
  /** Targets in the order in which to try them. */
  targets: readonly ResolvedTarget[];
  /** Epoch milliseconds. */
  deadlineMs: number;
  /** Whether the deadline is the caller's own and earlier than the provider's limit. */
  deadlineIsCallers?: boolean;
  /** The caller, as returned by `callerOf`. */
  caller?: string;
  /** The caller's session, tied to the caller; "" or absent if the call names none. */
  session?: string;
  forwarded: Record<string, string>;
  /** null unless calls are traced. */
  trace?: CallTrace | null;
  sealer?: IdSealer;
  /** Takes the items of a translated answer that the caller may refer to later. */
  keepItems?: ((items: readonly JsonObject[]) => void) | undefined;
  promptTokens: number;
  /**
   * Reserves what one more attempt at this target can cost, in addition to earlier attempts' charges. Returns false if
   * it doesn't fit.
   */
  cover(this: DispatchRequest, target: ResolvedTarget, attempts: readonly AttemptRecord[]): boolean | Promise<boolean>;
  limits: AnswerLimits;
  /** Returns the headers of a successful answer once the target is known. `attempts` includes this one. */
  replyHeaders(
    this: DispatchRequest,
    target: ResolvedTarget,
    prepared: Prepared,
    upstream: ResponseHeaders,
    attempts: number,
  ): AnswerHeaders;
}

export interface Dispatcher {
  upstreams: Pick<Upstreams, "send">;
  routing: Routing;
  habits: UsageHabits;
  auth: AuthEnvironment;
  pickers: Pickers;
  deadlines: Deadlines;
  nowMs(): number;
  /** 0 to 1. */
  random(): number;
}
