/** The stages from "on record" to "dispatch": an answer from the cache or from a provider. */
import { callerOf } from "../call/caller.ts";
import type { Identity } from "../call/identity.ts";
import type { AttemptRecord, CallRecord } from "../call/record.ts";
import type { Shaped } from "../call/shaped.ts";
import { type Failure, isFailure } from "../failure.ts";
import { ownerOf } from "../ids/owner.ts";
import { everyMask } from "../masking/masker.ts";
import { mediaFormat } from "../media/registry.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Route, Shadow, Snapshot } from "../snapshot/snapshot.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { ResponseHeaders } from "../wire/upstream.ts";
import type { Addressed } from "./address.ts";
import { admit } from "./admit.ts";
import { type AnswerHeaders, answerHeaders } from "./answer-headers.ts";
import { AnswerRecorder } from "./answer-recorder.ts";
import { throughCache, throughCacheToEnd } from "./cached.ts";
import type { CachedCall } from "./cached-call.ts";
import { type CallEnd, type CallOutcome, type CallState, underWay } from "./call-state.ts";
import { deadlineOf } from "./deadline.ts";
import { dispatchFor } from "./dispatch.ts";
import type { DispatchOutcome } from "./dispatch-outcome.ts";
import type { DispatchRequest } from "./dispatch-request.ts";
import type { DispatchListener } from "./dispatch-steps.ts";
import type { Gateway } from "./gateway.ts";
import { keeperOf } from "./kept-responses.ts";
import { beginOnRecord } from "./on-record.ts";
import { CallPlan, roughPromptTokens } from "./plan.ts";
import type { IdSealer, Prepared } from "./prepared.ts";
import type { Missed, OnRecord } from "./proof.ts";
import { noteMove, noteOutcome } from "./record-fields.ts";
import { secretsOf } from "./redacted-excerpt.ts";
import type { Admitted } from "./reservation.ts";
import { breakOff } from "./respond.ts";
import { modelAsRouted, targetsFor } from "./route.ts";
import { servingTargets } from "./serving-targets.ts";
import type { ShadowSample } from "./shadow.ts";

/** The request to providers. A class, as closures and copied members would be made for each call. */
class CallDispatch implements DispatchRequest, IdSealer {
  readonly admitted: Admitted;
  readonly missed: Missed;
  readonly client: ClientConnection;
  readonly shaped: Shaped;
  readonly route: Route;
  readonly targets: readonly ResolvedTarget[];
  readonly deadlineMs: number;
  readonly deadlineIsCallers: boolean;
  readonly caller: string;
  readonly session: string;
  readonly forwarded: Record<string, string>;
  readonly trace: CallRecord["trace"];
  readonly keepItems: DispatchRequest["keepItems"];
  readonly promptTokens: number;
  readonly limits: Gateway["limits"];
  readonly #call: CallState;
  readonly #identity: Identity;

  constructor(call: CallState, shaped: Shaped, plan: CallPlan, missed: Missed, admitted: Admitted) {
    const { client, gateway, record } = call;
    const { route, identity } = plan;
    const totalMs = plan.targets[0]?.entry.account.config.timeouts.totalMs ?? 0;
    const deadline = deadlineOf(client, totalMs, gateway.deadlines.nowMs());
    this.admitted = admitted;
    this.missed = missed;
    this.client = client;
    this.shaped = shaped;
    this.route = route;
    this.targets = admitted.targets;
    this.deadlineMs = deadline.deadlineMs;
    this.deadlineIsCallers = deadline.deadlineIsCallers;
    this.caller = plan.caller;
    this.session = plan.session;
    this.forwarded = call.forwarded(identity);
    this.trace = record.trace;
    this.keepItems = keeperOf(call, shaped, route, identity);
    this.promptTokens = roughPromptTokens(shaped.received);
    this.limits = gateway.limits;
    this.#call = call;
    this.#identity = identity;
  }

  get sealer(): IdSealer {
    return this;
  }

  sealId(provider: string, id: string): string {
    const { ids, roles } = this.#call.snapshot;
    return ids.seal(ownerOf(this.#identity, this.route, roles), provider, id);
  }

  cover(target: ResolvedTarget, attempts: readonly AttemptRecord[]): boolean | Promise<boolean> {
    return this.admitted.cover(target, attempts);
  }

  replyHeaders(target: ResolvedTarget, prepared: Prepared, upstream: ResponseHeaders, attempts: number): AnswerHeaders {
    return answerHeaders(this.client, this.#call.record, target, prepared, upstream, attempts);
  }
}

class Generation implements CachedCall, DispatchListener {
  readonly client: ClientConnection;
  readonly gateway: Gateway;
  readonly surface: Addressed["surface"];
  readonly snapshot: Snapshot;
  readonly route: Route;
  readonly identity: Identity;
  readonly shaped: Shaped;
  readonly record: CallRecord;
  readonly onRecord: OnRecord;
  readonly #call: CallState;
  #plan: CallPlan | null = null;
  /** Receives the outcome of the dispatch. */
  #end: CallEnd;

  constructor(call: CallState, shaped: Shaped, route: Route, identity: Identity, onRecord: OnRecord) {
    this.client = call.client;
    this.gateway = call.gateway;
    this.surface = call.surface;
    this.snapshot = call.snapshot;
    this.route = route;
    this.identity = identity;
    this.shaped = shaped;
    this.record = call.record;
    this.onRecord = onRecord;
    this.#call = call;
    this.#end = call.end;
  }

  run(): CallOutcome {
    const { audit } = this.route.config;
    if (audit.required) this.client.hold();
    this.#call.enter("cached");
    if (!audit.bodies || this.shaped.received.isFile) return throughCache(this);
    const recorder = new AnswerRecorder(this.shaped.format);
    this.client.filterFirst(recorder);
    return this.#audited(recorder);
  }

  elapsedMs(): number {
    return this.#call.elapsedMs();
  }

  async #audited(recorder: AnswerRecorder): Promise<Failure | null> {
    const failed = await throughCacheToEnd(this);
    this.record.audited = this.#call.bodies(this.shaped, recorder.body, this.route.masker ?? everyMask);
    return failed;
  }

  go(missed: Missed): Failure | null | Promise<Failure | null> {
    const { promise, resolve, reject } = Promise.withResolvers<Failure | null>();
    this.#end = { over: resolve, broke: reject };
    const outcome = this.goOn(missed);
    if (outcome instanceof Promise) return outcome.then((ended) => (ended === underWay ? promise : ended));
    return outcome === underWay ? promise : outcome;
  }

  /** The stages from routing to targets on. */
  goOn(missed: Missed): CallOutcome {
    const { client, gateway, surface, snapshot, route, identity, shaped, record } = this;
    const known = targetsFor(route, shaped.model, this.#call.account);
    if (isFailure(known)) return known;
    const resolved = servingTargets(known, shaped.format);
    if (isFailure(resolved)) return resolved;
    const model = modelAsRouted(route, shaped.model, resolved[0]);
    record.model = model;
    const { session } = record;
    const caller = callerOf(identity, record.address);
    const plan = new CallPlan(shaped, route, resolved, identity, client, session, caller);
    this.#plan = plan;
    const targets = gateway.routing.plan(plan);
    this.#call.enter("admit");
    const admission = admit({ client, surface, snapshot, route, identity, shaped, targets, model, session }, gateway);
    return admission instanceof Promise
      ? this.#sendLater(admission, missed, plan)
      : this.#send(admission, missed, plan);
  }

  async #sendLater(admission: Promise<Admitted | Failure>, missed: Missed, plan: CallPlan) {
    return this.#send(await admission, missed, plan);
  }

  #send(admitted: Admitted | Failure, missed: Missed, plan: CallPlan): CallOutcome {
    if (isFailure(admitted)) return admitted;
    this.#call.admitted = admitted;
    this.#call.enter("dispatch");
    const request = new CallDispatch(this.#call, this.shaped, plan, missed, admitted);
    // Images, speech, transcripts and summaries are not copied: they cost as much again, and can't be compared.
    const { format, compaction } = this.shaped;
    if (this.route.shadow !== null && mediaFormat(format) === null && compaction === null)
      this.#call.sample = this.#sample(request, this.route.shadow);
    dispatchFor(this, request, this.gateway);
    return underWay;
  }

  dispatched(outcome: DispatchOutcome): void {
    let failed: Failure | null;
    try {
      failed = this.#dispatched(outcome);
    } catch (cause) {
      this.#end.broke(cause);
      return;
    }
    this.#end.over(failed);
  }

  broke(cause: unknown): void {
    this.#end.broke(cause);
  }

  #sample({ missed, forwarded }: CallDispatch, shadow: Shadow): ShadowSample | null {
    const { client, route, identity, shaped, record, gateway, snapshot } = this;
    const { account } = this.#call;
    const secrets = (): readonly string[] => secretsOf(client.headers, snapshot);
    const call = { client, route, identity, shaped, missed, forwarded, secrets, account, record };
    return gateway.shadows.sample(call, shadow, gateway);
  }

  #dispatched(outcome: DispatchOutcome): Failure | null {
    const { client, record, route, shaped } = this;
    noteOutcome(record, outcome);
    if (this.#plan !== null) noteMove(record, this.#plan, outcome, this.gateway.routing);
    this.#call.enter("settle");
    const answer = outcome.kind === "failed" ? "" : (outcome.served?.body ?? "");
    // The request's text is already masked if the policy masks. Member names and the provider's text are not.
    if (route.config.logging.payloads) record.payloads = this.#call.bodies(shaped, answer, route.masker);
    this.#call.traceBodies(shaped, answer, route);
    switch (outcome.kind) {
      case "failed":
        return outcome.failure;
      case "brokenOff":
        breakOff(client, this.surface, outcome.failure, outcome.reported, record);
        return null;
      case "answered":
        this.#call.sample?.answered();
        if (shaped.received.stream) client.finish();
        return null;
      case "abandoned":
        if (shaped.received.stream) client.finish();
        return null;
    }
  }
}

/** The call to the cache or a provider, within the audit records that the policy requires. */
export function generate(call: CallState, shaped: Shaped, route: Route, identity: Identity): CallOutcome {
  call.enter("on record");
  const begun = beginOnRecord(route, call.gateway.audit, call.record);
  return begun instanceof Promise
    ? generateLater(begun, call, shaped, route, identity)
    : new Generation(call, shaped, route, identity, begun).run();
}

async function generateLater(
  begun: Promise<OnRecord | Failure>,
  call: CallState,
  shaped: Shaped,
  route: Route,
  identity: Identity,
) {
  const onRecord = await begun;
  return isFailure(onRecord) ? onRecord : new Generation(call, shaped, route, identity, onRecord).run();
}
