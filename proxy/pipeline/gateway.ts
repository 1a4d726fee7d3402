/** What all calls share: the running components of a proxy that the stages use. */

import type { Countries } from "../access/countries.ts";
import type { AuditLog } from "../audit/audit.ts";
import type { ResponseCache } from "../cache/cache.ts";
import type { BodyRoom } from "../call/body-room.ts";
import type { CallRecord } from "../call/record.ts";
import type { FleetStore } from "../fleet/store.ts";
import type { TokenVerifier } from "../identity/verify.ts";
import type { ForeignKeyUses } from "../snapshot/foreign-key-uses.ts";
import type { TextPool } from "../text-work/pool.ts";
import type { Tracer } from "../tracing/tracer.ts";
import type { WebSockets } from "../web-sockets/server.ts";
import type { Admitter } from "./admit-request.ts";
import type { AnswerLimits } from "./attempt-result.ts";
import type { Dispatcher } from "./dispatch-request.ts";
import type { Shadows } from "./shadow.ts";

export interface Gateway extends Dispatcher, Admitter {
  cache: ResponseCache;
  /** null if there is none. */
  audit: AuditLog | null;
  /** Ledger that adds up the usage of all calls. */
  ledger: FleetStore;
  /** `audited`: whether the call is already in the audit log. */
  record(call: CallRecord, audited?: boolean): void;
  unexpected(cause: unknown, requestId: string): void;
  countries: Countries;
  foreignKeys: ForeignKeyUses;
  tokens: TokenVerifier;
  limits: AnswerLimits;
  bodies: BodyRoom;
  /** null if they are switched off. */
  webSockets: WebSockets | null;
  /** Worker threads for large texts. */
  texts: TextPool;
  /** Minimum rate of a request body, in bytes per second; slower bodies are cut off. 0 for no minimum. */
  minUploadBytesPerSecond: number;
  /** Copies of calls to policies' shadows. */
  shadows: Shadows;
  /** null unless calls are traced. */
  tracer: Tracer | null;
  /** Header that the installation names for a call's session; "" for none. */
  sessionHeader: string;
}
