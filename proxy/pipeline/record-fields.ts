/** Fills a call's record from the stages that it passes. */

import { attemptCharges, costOf } from "../call/charges.ts";
import type { Identity } from "../call/identity.ts";
import type { CallRecord } from "../call/record.ts";
import { failures } from "../failure.ts";
import type { PlanRequest, Routing } from "../routing/routing.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { Operation } from "./address.ts";
import type { DispatchOutcome, Served } from "./dispatch-outcome.ts";

export function noteIdentity(record: CallRecord, identity: Identity, operation: Operation): void {
  record.operation = operation.kind === "generate" ? operation.format : operation.kind;
  const key = identity.anonymous ? identity.known : identity.key;
  if (key === undefined) return;
  record.key = key.id;
  record.user = key.user;
  record.team = key.team ?? "";
  record.role = key.role;
  record.tags = key.tags;
}

export function noteRoute(record: CallRecord, { config }: Route): void {
  record.route = config.id;
  record.statistics = config.logging.statistics;
}

export function noteOutcome(record: CallRecord, outcome: DispatchOutcome): void {
  const { attempts, usage } = outcome;
  record.attempts = attempts;
  record.usage = usage;
  record.costNanoUsd = costOf(attemptCharges(attempts));
  record.provider = attempts.at(-1)?.provider ?? "";
  switch (outcome.kind) {
    case "failed":
      return;
    case "answered":
      noteServed(record, outcome.served);
      return;
    case "brokenOff":
      if (outcome.served !== null) noteServed(record, outcome.served);
      return;
    case "abandoned":
      noteServed(record, outcome.served);
      record.abandoned = true;
      record.stalled = outcome.stalled;
      record.code = "client_closed_request";
      record.status = failures.client_closed_request.status;
  }
}

/** Notes which target answered a session's call, and whether the session moved to it. */
export function noteMove(record: CallRecord, request: PlanRequest, outcome: DispatchOutcome, routing: Routing): void {
  if (outcome.kind === "failed" || outcome.served === null) return;
  const move = routing.answered(request, outcome.served.target, outcome.usage);
  if (move !== null) record.moved = move;
}

/** Notes which provider counts a prompt's tokens, for a call that the gateway answers itself. */
export function noteAsked(record: CallRecord, model: string, { entry, model: asked }: ResolvedTarget): void {
  const { config } = entry.account;
  record.model = model;
  record.provider = config.id;
  record.upstreamModel = asked.config.upstream;
  record.region = config.region ?? "";
}

function noteServed(record: CallRecord, { target, dropped, firstByteMs }: Served): void {
  const { config } = target.entry.account;
  record.target = target.config.name;
  record.provider = config.id;
  record.upstreamModel = target.model.config.upstream;
  record.region = config.region ?? "";
  record.dropped = dropped;
  record.firstByteMs = firstByteMs;
}
