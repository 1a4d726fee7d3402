/**
 * The data plane on one page. Every call passes these stages in this order, and is recorded exactly once, whatever its
 * outcome.
 * The list of the stages, with what each answers, is in stages.ts.
 */
import type { Circumstances } from "../access/rules.ts";
import { keepItems, refersToItems, resolveItems } from "../cache/kept-items.ts";
import type { BodyPlace } from "../call/body-room.ts";
import { callerOf } from "../call/caller.ts";
import type { Identity } from "../call/identity.ts";
import { type Received, withModel } from "../call/received.ts";
import { type CallRecord, newRecord } from "../call/record.ts";
import { sessionOf } from "../call/session.ts";
import { requiredMember, type Shaped } from "../call/shaped.ts";
import { type ChatRequest, isRefusal } from "../dialects/canonical.ts";
import { type Failure, failure, isFailure } from "../failure.ts";
import { openRequest } from "../ids/open-request.ts";
import { ownerOf } from "../ids/owner.ts";
import { ResourceIds } from "../ids/resource-ids.ts";
import { everyMask, type Masker } from "../masking/masker.ts";
import type { PlanRequest } from "../routing/routing.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { PathEntry, Route, Snapshot } from "../snapshot/snapshot.ts";
import type { RequestJob } from "../text-work/job.ts";
import type { ClientConnection } from "../wire/client.ts";
import { forwardHeaders } from "../wire/headers.ts";
import { type Addressed, address, addressFor, formatOf } from "./address.ts";
import { type Admitted, admit } from "./admit.ts";
import { type AnswerHeaders, answerHeaders } from "./answer-headers.ts";
import { AnswerRecorder } from "./answer-recorder.ts";
import { authenticate } from "./authenticate.ts";
import { chargeBatches } from "./batch-charge.ts";
import { bodyPlace, isPlace } from "./body-place.ts";
import { throughCache } from "./cached.ts";
import { authorise, type CheckedCall, denyBeforeTexts } from "./checks.ts";
import { circumstances } from "./circumstances.ts";
import { denyBeyondModels } from "./client-token.ts";
import { countCall, countTokens, estimatedCount, type TokenCount } from "./count-tokens.ts";
import { deadlineOf } from "./deadline.ts";
import { type DispatchOutcome, dispatch } from "./dispatch.ts";
import type { DispatchRequest } from "./dispatch-request.ts";
import type { Gateway } from "./gateway.ts";
import { mask } from "./mask.ts";
import { mint } from "./mint.ts";
import { listModels } from "./models.ts";
import { readMoved, textJobOf } from "./moved-texts.ts";
import { beginOnRecord, endOnRecord } from "./on-record.ts";
import { ownUsage } from "./own-usage.ts";
import { CallPlan, roughPromptTokens } from "./plan.ts";
import { preliminary } from "./preliminary.ts";
import type { Missed, OnRecord, Unambiguous } from "./proof.ts";
import { receive } from "./receive.ts";
import { noteAsked, noteIdentity, noteMove, noteOutcome, noteRoute } from "./record-fields.ts";
import { excerpts, secretsOf } from "./redacted-excerpt.ts";
import type { ResourceOperation } from "./resource-paths.ts";
import { passThrough, resourceTarget } from "./resources.ts";
import { answerFailure, answerJson, breakOff } from "./respond.ts";
import { modelAsRouted, offersTo, resolveTargets, route, targetsFor } from "./route.ts";
import { chargedNamespace } from "./scope.ts";
import { shape } from "./shape.ts";

/** Anthropic's SDK reads a call's id from this header. A value from the provider is kept. */
const nameForAnthropic =
  (requestId: string) =>
  (headers: AnswerHeaders): void => {
    headers["request-id"] ??= requestId;
  };

/** null: it was answered. A promise only if something has to be waited for. */
type Outcome = Failure | null | Promise<Failure | null>;

class Call {
  readonly #client: ClientConnection;
  readonly #gateway: Gateway;
  readonly #snapshot: Snapshot;
  readonly #record: CallRecord;
  #surface: Addressed["surface"] = "openai";
  /** Whether the header is there that Anthropic's SDK always sends. */
  readonly #speaksAnthropic: boolean;
  #admitted: Admitted | null = null;
  #place: BodyPlace | null = null;
  /**
   * `namespace/name` of the only provider that can be asked, because it keeps the state that the request continues
   * from; null for any.
   */
  #account: string | null = null;

  constructor(client: ClientConnection, gateway: Gateway, snapshot: Snapshot) {
    this.#client = client;
    this.#gateway = gateway;
    this.#snapshot = snapshot;
    this.#record = newRecord(client.requestId, client.method, gateway.nowMs());
    this.#record.trace = gateway.tracer?.begin((name) => client.header(name)) ?? null;
    this.#record.session = sessionOf((name) => client.header(name), [gateway.sessionHeader], null);
    this.#speaksAnthropic = client.header("anthropic-version") !== null;
    if (this.#speaksAnthropic || client.path.endsWith("/messages")) this.#surface = "anthropic";
  }

  async serve(): Promise<void> {
    const record = this.#record;
    try {
      const from = circumstances(this.#client, this.#snapshot, this.#gateway.countries, this.#gateway.nowMs());
      record.address = from.address ?? "";
      if (this.#gateway.audit !== null) record.country = from.country() ?? "";
      const client = preliminary(this.#client, this.#snapshot.settings.cors.allowedOrigins);
      const outcome = client === "answered" || isFailure(client) ? this.#preflight(client) : this.#stages(client, from);
      const failed = outcome instanceof Promise ? await outcome : outcome;
      if (failed !== null) this.#fail(failed);
    } catch (cause) {
      this.#gateway.unexpected(cause, this.#client.requestId);
      this.#fail(failure("internal_error", "The gateway failed on this request. Report it with the request id."));
    } finally {
      record.sentBytes = this.#client.sentBytes;
      record.durationMs ||= this.#gateway.nowMs() - record.startedMs;
      record.trace?.end();
      this.#admitted?.settle(record);
      this.#place?.release();
      const { holding } = this.#client;
      if (holding) await this.#release();
      this.#gateway.record(record, holding);
    }
  }

  #sessionOf({ config }: Route, { json }: Received): string {
    const own = [config.sessionHeader ?? "", this.#gateway.sessionHeader];
    return sessionOf((name) => this.#client.header(name), own, json);
  }

  /** What has no format of its own is answered in the format of the caller's SDK. */
  #surfaceOf({ operation, surface }: Addressed): Addressed["surface"] {
    return !("format" in operation) && this.#speaksAnthropic ? "anthropic" : surface;
  }

  #preflight(crossed: "answered" | Failure): Failure | null {
    this.#record.operation = "preflight";
    if (crossed !== "answered") return crossed;
    this.#record.status = 204;
    return null;
  }

  #stages(client: Unambiguous, from: Circumstances): Outcome {
    const found = address(client.method, client.path, this.#snapshot);
    if (isFailure(found)) return found;
    this.#surface = this.#surfaceOf(found);
    this.#enter("authenticate");
    const keyed = authenticate(client.headers, this.#snapshot, this.#gateway.nowMs());
    const verified = keyed.anonymous && keyed.token !== undefined ? this.#verify(keyed.token) : keyed;
    return verified instanceof Promise
      ? verified.then((identity) => this.#identified(client, found, identity, from))
      : this.#identified(client, found, verified, from);
  }

  /** The stages from the caller's identity on. */
  #identified(client: Unambiguous, found: Addressed, identity: Identity, from: Circumstances): Outcome {
    const { method, path: url } = client;
    const addressed = addressFor(identity, found, method, url, this.#snapshot);
    this.#surface = this.#surfaceOf(addressed);
    if (this.#surface === "anthropic") client.always(nameForAnthropic(client.requestId));
    const { path, operation } = addressed;
    noteIdentity(this.#record, identity, operation);
    if (identity.anonymous && !offersTo(path, identity)) return identity.failure;
    const beyond = denyBeyondModels(identity, operation);
    if (beyond) return beyond;
    switch (operation.kind) {
      case "mint":
        return this.#answerLater(mint(client, identity, this.#snapshot, this.#gateway.nowMs()));
      case "usage":
        return this.#answerLater(ownUsage(client.url, identity, this.#snapshot, this.#gateway));
      case "models":
        return this.#answer(
          listModels({
            ...{ path, identity, from, roles: this.#snapshot.roles },
            ...{ id: operation.id, url: client.url, isAnthropic: this.#surface === "anthropic" },
          }),
        );
      case "resource":
        return this.#resource(client, operation, path, identity, from);
      default:
        return this.#arriving(client, addressed, identity, from);
    }
  }

  /** The stages from reading the body on. */
  #arriving(client: Unambiguous, addressed: Addressed, identity: Identity, from: Circumstances): Outcome {
    const place = this.#placeFor(client, addressed.path, identity);
    if (!isPlace(place)) return place;
    this.#place = place;
    this.#enter("receive");
    const reading = this.#receive(client, place, requiredMember[formatOf(addressed.operation)]);
    return reading instanceof Promise
      ? reading.then((received) => this.#arrived(received, place, addressed, identity, from))
      : this.#arrived(reading, place, addressed, identity, from);
  }

  #arrived(
    received: Received | Failure,
    place: BodyPlace,
    addressed: Addressed,
    identity: Identity,
    from: Circumstances,
  ): Outcome {
    place.arrived();
    return isFailure(received) ? received : this.#received(received, addressed, identity, from);
  }

  #placeFor(client: Unambiguous, path: PathEntry, identity: Identity): ReturnType<typeof bodyPlace> {
    const { maxBodyBytes } = this.#snapshot.settings;
    return bodyPlace(client, this.#gateway.bodies, path, identity, this.#record.address, maxBodyBytes);
  }

  #receive(client: Unambiguous, place: BodyPlace, needed: string): ReturnType<typeof receive> {
    const { maxBodyBytes, bodyLimits: limits } = this.#snapshot.settings;
    return receive(client, maxBodyBytes, needed, {
      limits,
      minBytesPerSecond: this.#gateway.minUploadBytesPerSecond,
      grow: (bytes) => place.grow(bytes) === null,
    });
  }

  #verify(token: string): Identity | Promise<Identity> {
    return this.#gateway.tokens.verify(token, this.#snapshot.settings.identity.issuers, this.#record.address);
  }

  /** The stages from the body on. */
  #received(
    given: Received,
    { path, operation, deployment }: Addressed,
    identity: Identity,
    from: Circumstances,
  ): Outcome {
    this.#enter("route");
    const received = withModel(given, deployment);
    if (isFailure(received)) return received;
    const routed = route(path, received.model, identity);
    if (isFailure(routed)) return routed;
    noteRoute(this.#record, routed.route);
    this.#record.session = this.#sessionOf(routed.route, received);
    this.#record.stream = received.stream;
    const format = formatOf(operation);
    const call = { routed, received, format, identity, from, roles: this.#snapshot.roles };
    const job = this.#gateway.texts.works ? textJobOf(call) : null;
    return job === null ? this.#checked(call, operation) : this.#moved(call, operation, job);
  }

  /** Large texts are read by a worker, after everything else was checked. */
  async #moved(call: CheckedCall, operation: Addressed["operation"], job: RequestJob): Promise<Failure | null> {
    const refused = denyBeforeTexts(call);
    if (refused !== null) return refused;
    const { identity, routed } = call;
    this.#enter("guard");
    const texts = await readMoved(
      this.#gateway.texts,
      chargedNamespace({ identity, route: routed.route }),
      job,
      this.#client,
    );
    return isFailure(texts) ? texts : this.#checked({ ...call, texts }, operation);
  }

  /** The stages from the checks on. */
  #checked(call: CheckedCall, operation: Addressed["operation"]): Outcome {
    const { routed, received, format, identity } = call;
    const authorised = authorise(call);
    if (isFailure(authorised)) return authorised;
    this.#enter("mask");
    const client = this.#client;
    const { texts: pool } = this.#gateway;
    const namespace = chargedNamespace({ identity, route: routed.route });
    const masked = mask(authorised, { received, format, client, record: this.#record, pool, namespace });
    if (isFailure(masked)) return masked;
    this.#enter("shape");
    if (this.#record.trace !== null) this.#record.trace.requested = received.json;
    const shaped = shape(masked, { routed: authorised, format, identity, nowMs: this.#gateway.nowMs() });
    if (isFailure(shaped)) return shaped;
    if (identity.anonymous || !refersToItems(shaped) || !this.#keepsItems(routed.route))
      return this.#shaped(shaped, call, operation);
    return resolveItems(shaped, this.#gateway.cache.store, this.#itemKeys(identity)).then(() =>
      this.#shaped(shaped, call, operation),
    );
  }

  /** What is kept of answers would come back past the policy's guard. */
  #keepsItems({ guard, masker }: Route): boolean {
    return guard === null && masker === null;
  }

  #itemKeys(identity: Identity): (id: string) => string {
    return (id) => this.#ofCaller(identity, `item ${id}`);
  }

  #shaped(shaped: Shaped, { routed, identity }: CheckedCall, operation: Addressed["operation"]): Outcome {
    const owner = ownerOf(identity, routed.route, this.#snapshot.roles);
    const opened = openRequest(shaped, this.#snapshot.ids, owner, (account) =>
      resolveTargets(routed.route, shaped.model).some(({ entry }) => entry.account.config.id === account),
    );
    if (isFailure(opened)) return opened;
    this.#account = opened.account;
    return operation.kind === "countTokens"
      ? this.#countTokens(shaped, routed.route, identity)
      : this.#generate(shaped, routed.route, identity);
  }

  async #countTokens(shaped: Shaped, route: Route, identity: Identity): Promise<Failure | null> {
    const request = shaped.chat();
    if (isRefusal(request)) return failure(request.code, request.message);
    const counted = await this.#counted(shaped, request, route, identity);
    if (isFailure(counted)) return counted;
    const how = counted.estimated ? "estimated" : "provider";
    this.#client.always((headers) => void (headers["x-sluice-token-count"] = how));
    const named = shaped.format === "openai.responses" ? { object: "response.input_tokens" } : {};
    return this.#answer({ ...named, input_tokens: counted.tokens });
  }

  /** A call to the provider for a count is on record and within limits, as every other. */
  async #counted(
    shaped: Shaped,
    request: ChatRequest,
    route: Route,
    identity: Identity,
  ): Promise<TokenCount | Failure> {
    const client = this.#client;
    const targets = targetsFor(route, shaped.model, this.#account);
    if (isFailure(targets)) return estimatedCount(request);
    const caller = callerOf(identity, this.#record.address);
    const { session } = this.#record;
    const planned = new CallPlan(shaped, route, targets, identity, client, session, caller);
    const [target] = this.#gateway.routing.plan(planned);
    const call = target === undefined ? null : countCall(shaped, request, target);
    if (target === undefined || call === null) return estimatedCount(request);
    const model = modelAsRouted(route, shaped.model, targets[0]);
    noteAsked(this.#record, model, target);
    if (route.config.audit.required) client.hold();
    const onRecord = await beginOnRecord(route, this.#gateway.audit, this.#record);
    if (isFailure(onRecord)) return onRecord;
    this.#enter("admit");
    const [snapshot, surface] = [this.#snapshot, this.#surface];
    const admitted = await admit(
      { client, surface, snapshot, route, identity, shaped: null, targets: [], model, session },
      this.#gateway,
    );
    if (isFailure(admitted)) return admitted;
    this.#admitted = admitted;
    this.#enter("dispatch");
    const forwarded = forwardHeaders(client.headers, (text) => this.#ofCaller(identity, text));
    return countTokens({ request, target, call, caller, forwarded }, this.#gateway);
  }

  /** The call to the cache or a provider, within the audit records that the policy requires. */
  #generate(shaped: Shaped, route: Route, identity: Identity): Outcome {
    this.#enter("on record");
    const begun = beginOnRecord(route, this.#gateway.audit, this.#record);
    return begun instanceof Promise
      ? begun.then((onRecord) => this.#begun(onRecord, shaped, route, identity))
      : this.#begun(begun, shaped, route, identity);
  }

  #begun(onRecord: OnRecord | Failure, shaped: Shaped, route: Route, identity: Identity): Outcome {
    if (isFailure(onRecord)) return onRecord;
    const { audit } = route.config;
    if (audit.required) this.#client.hold();
    if (!audit.bodies) return this.#cached(onRecord, shaped, route, identity);
    const recorder = new AnswerRecorder(shaped.format);
    this.#client.filterFirst(recorder);
    return this.#audited(this.#cached(onRecord, shaped, route, identity), recorder, shaped, route);
  }

  async #audited(outcome: Outcome, recorder: AnswerRecorder, shaped: Shaped, route: Route): Promise<Failure | null> {
    const failed = await outcome;
    this.#record.audited = this.#bodies(shaped, recorder.body, route.masker ?? everyMask);
    return failed;
  }

  #cached(onRecord: OnRecord, shaped: Shaped, route: Route, identity: Identity): Outcome {
    this.#enter("cached");
    return throughCache({
      client: this.#client,
      gateway: this.#gateway,
      surface: this.#surface,
      snapshot: this.#snapshot,
      route,
      identity,
      shaped,
      record: this.#record,
      onRecord,
      go: (missed) => this.#dispatch(missed, shaped, route, identity),
    });
  }

  #dispatch(missed: Missed, shaped: Shaped, route: Route, identity: Identity): Outcome {
    const resolved = targetsFor(route, shaped.model, this.#account);
    if (isFailure(resolved)) return resolved;
    const [first] = resolved;
    const model = modelAsRouted(route, shaped.model, first);
    this.#record.model = model;
    const client = this.#client;
    const caller = callerOf(identity, this.#record.address);
    const { session } = this.#record;
    const planned = new CallPlan(shaped, route, resolved, identity, client, session, caller);
    const targets = this.#gateway.routing.plan(planned);
    this.#enter("admit");
    const admission = admit(
      { client, surface: this.#surface, snapshot: this.#snapshot, route, identity, shaped, targets, model, session },
      this.#gateway,
    );
    return admission instanceof Promise
      ? admission.then((admitted) => this.#send(admitted, missed, shaped, planned, first))
      : this.#send(admission, missed, shaped, planned, first);
  }

  #send(
    admitted: Admitted | Failure,
    missed: Missed,
    shaped: Shaped,
    planned: PlanRequest,
    { entry }: ResolvedTarget,
  ): Outcome {
    if (isFailure(admitted)) return admitted;
    this.#admitted = admitted;
    this.#enter("dispatch");
    const client = this.#client;
    const { route, identity, caller = "" } = planned;
    const { deadlineMs, deadlineIsCallers } = deadlineOf(
      client,
      entry.account.config.timeouts.totalMs,
      this.#gateway.nowMs(),
    );
    const outcome = dispatch(
      {
        admitted,
        missed,
        client,
        shaped,
        route,
        targets: admitted.targets,
        cover: admitted.cover,
        deadlineMs,
        deadlineIsCallers,
        caller,
        session: planned.session,
        sealId: (provider, id) => {
          const { ids, roles } = this.#snapshot;
          return ids.seal(ownerOf(identity, route, roles), provider, id);
        },
        forwarded: forwardHeaders(client.headers, (text) => this.#ofCaller(identity, text)),
        trace: this.#record.trace,
        ...this.#keeping(shaped, route, identity),
        promptTokens: roughPromptTokens(shaped.received),
        limits: this.#gateway.limits,
        replyHeaders: (target, prepared, upstream, attempts) =>
          answerHeaders(client, this.#record, target, prepared, upstream, attempts),
      },
      this.#gateway,
    );
    return outcome.then((end) => this.#dispatched(end, shaped, planned));
  }

  #dispatched(outcome: DispatchOutcome, shaped: Shaped, planned: PlanRequest): Failure | null {
    const client = this.#client;
    const { route } = planned;
    noteOutcome(this.#record, outcome);
    noteMove(this.#record, planned, outcome, this.#gateway.routing);
    this.#enter("settle");
    const served = outcome.kind === "failed" ? null : outcome.served;
    // The request's text is already masked if the policy masks. Member names and the provider's text are not.
    if (route.config.logging.payloads) this.#record.payloads = this.#bodies(shaped, served?.body ?? "", route.masker);
    this.#traceBodies(shaped, served?.body ?? "", route);
    switch (outcome.kind) {
      case "failed":
        return outcome.failure;
      case "brokenOff":
        breakOff(client, this.#surface, outcome.failure, outcome.told, this.#record);
        return null;
      case "answered":
      case "abandoned":
        if (shaped.received.stream) client.finish();
        return null;
    }
  }

  /** Callers who set `store` to false send items whole. */
  #keeping({ format, received }: Shaped, route: Route, identity: Identity): Pick<DispatchRequest, "keepItems"> {
    if (format !== "openai.responses" || identity.anonymous || received.json["store"] === false) return {};
    if (!this.#keepsItems(route)) return {};
    const { cache, nowMs } = this.#gateway;
    return { keepItems: (items) => keepItems(cache.store, items, this.#itemKeys(identity), nowMs()) };
  }

  #enter(stage: string): void {
    this.#record.trace?.enter(stage);
  }

  /** Always masked: who may read traces need not be allowed to read the log. */
  #traceBodies(shaped: Shaped, answer: Uint8Array | string, route: Route): void {
    const { trace } = this.#record;
    if (trace !== null && this.#gateway.tracer?.settings.bodies === true && route.config.logging.payloads)
      trace.bodies = this.#bodies(shaped, answer, route.masker ?? everyMask);
  }

  /** Makes a text distinct for each key, and always the same for one key. */
  #ofCaller(identity: Identity, text: string): string {
    return this.#snapshot.digest(JSON.stringify([identity.anonymous ? null : identity.key.id, text]));
  }

  #bodies(shaped: Shaped, answer: Uint8Array | string, masker: Masker | null): ReturnType<typeof excerpts> {
    return excerpts(shaped.received.bytes, answer, masker, secretsOf(this.#client.headers, this.#snapshot));
  }

  /** Files, batches, fine-tuning: fewer stages, as their content is not inspected. */
  async #resource(
    client: Unambiguous,
    operation: ResourceOperation,
    path: PathEntry,
    identity: Identity,
    from: Circumstances,
  ): Promise<Failure | null> {
    const { ids, roles } = this.#snapshot;
    const accountOf = (id: string): string | null =>
      identity.anonymous ? null : (ids.open(ownerOf(identity, null, roles), id)?.account ?? null);
    const target = resourceTarget(operation, path, identity, from, roles, accountOf);
    if (isFailure(target)) return target;
    const { route } = target;
    const { config } = target.entry.account;
    noteRoute(this.#record, route);
    this.#record.provider = config.id;
    this.#record.region = config.region ?? "";
    const onRecord = await beginOnRecord(route, this.#gateway.audit, this.#record);
    if (isFailure(onRecord)) return onRecord;
    const caller = {
      ...{ client, surface: this.#surface, snapshot: this.#snapshot, route, identity },
      session: this.#record.session,
    };
    const admitted = await admit({ ...caller, shaped: null, targets: [], model: "" }, this.#gateway);
    if (isFailure(admitted)) return admitted;
    this.#admitted = admitted;
    const { upstreams, auth } = this.#gateway;
    const forwarded = forwardHeaders(client.headers, (text) => this.#ofCaller(identity, text));
    this.#enter("dispatch");
    if (this.#record.trace !== null) forwarded["traceparent"] = this.#record.trace.traceparent;
    return passThrough(client, operation, target, {
      upstreams,
      auth,
      forwarded,
      admitted,
      onRecord,
      ids: new ResourceIds(ids, ownerOf(identity, route, roles), config.id),
      readBatches: (batches) =>
        chargeBatches(batches, { caller, entry: target.entry, record: this.#record }, this.#gateway),
      nowMs: () => this.#gateway.nowMs(),
      minUploadBytesPerSecond: this.#gateway.minUploadBytesPerSecond,
      totalMs: config.timeouts.totalMs,
    });
  }

  /** Sends the held answer, or the held end of a stream; or a refusal in its place. */
  async #release(): Promise<void> {
    const unaudited = await endOnRecord(this.#gateway.audit, this.#record, this.#client);
    if (unaudited) this.#client.cut();
    if (unaudited && !this.#client.closed) this.#fail(unaudited);
    this.#client.release();
  }

  async #answerLater(found: object | Failure | Promise<object | Failure>): Promise<Failure | null> {
    return this.#answer(await found);
  }

  #answer(found: object | Failure): Failure | null {
    if (isFailure(found)) return found;
    answerJson(this.#client, found);
    return null;
  }

  #fail(failed: Failure): void {
    answerFailure(this.#client, this.#surface, failed, this.#record);
  }
}

export function serve(client: ClientConnection, gateway: Gateway, snapshot: Snapshot): Promise<void> {
  return new Call(client, gateway, snapshot).serve();
}
