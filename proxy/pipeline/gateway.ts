/** What all calls share: the running parts of a proxy that the stages work with. */

import type { Countries } from "../access/countries.ts";
import type { AuditLog } from "../audit/audit.ts";
import type { ResponseCache } from "../cache/cache.ts";
import type { BodyRoom } from "../call/body-room.ts";
import type { CallRecord } from "../call/record.ts";
import type { FleetStore } from "../fleet/store.ts";
import type { TokenVerifier } from "../identity/verify.ts";
import type { Admitter } from "./admit.ts";
import type { AnswerLimits } from "./attempt.ts";
import type { Dispatcher } from "./dispatch-request.ts";

export interface Gateway extends Dispatcher, Admitter {
  cache: ResponseCache;
  /** null: there is none. */
  audit: AuditLog | null;
  /** Where the usage of all calls is added up. */
  ledger: FleetStore;
  /** `audited`: it is in the audit log already. */
  record(call: CallRecord, audited?: boolean): void;
  unexpected(cause: unknown, requestId: string): void;
  countries: Countries;
  tokens: TokenVerifier;
  limits: AnswerLimits;
  bodies: BodyRoom;
  /** Bodies that come more slowly are cut; 0 for none. */
  minUploadBytesPerSecond: number;
}
