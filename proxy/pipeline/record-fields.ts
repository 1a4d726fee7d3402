/** What a call's record learns from the stages that it passes. */

import { attemptCharges, costOf } from "../call/charges.ts";
import type { Identity } from "../call/identity.ts";
import type { CallRecord } from "../call/record.ts";
import { failures } from "../failure.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { Operation } from "./address.ts";
import type { DispatchOutcome } from "./dispatch.ts";

export function noteIdentity(record: CallRecord, identity: Identity, operation: Operation): void {
  record.operation = operation.kind === "generate" ? operation.format : operation.kind;
  const key = identity.anonymous ? identity.known : identity.key;
  if (key === undefined) return;
  record.key = key.id;
  record.user = key.user;
  record.team = key.team ?? "";
  record.role = key.role;
}

export function noteRoute(record: CallRecord, { config }: Route): void {
  record.route = config.id;
  record.statistics = config.logging.statistics;
}

export function noteOutcome(record: CallRecord, outcome: DispatchOutcome): void {
  record.attempts = outcome.attempts;
  record.dropped = outcome.dropped;
  record.usage = outcome.usage;
  record.costNanoUsd = costOf(attemptCharges(outcome.attempts));
  record.firstByteMs = outcome.firstByteMs;
  record.abandoned = outcome.abandoned;
  record.stalled = outcome.stalled;
  const last = outcome.attempts.at(-1);
  record.target = outcome.target?.config.name ?? "";
  record.provider = outcome.target?.entry.account.config.id ?? last?.provider ?? "";
  record.upstreamModel = outcome.target?.model.config.upstream ?? "";
  record.region = outcome.target?.entry.account.config.region ?? "";
  if (outcome.abandoned) {
    record.code = "client_closed_request";
    record.status = failures.client_closed_request.status;
  }
}
