/**
 * The data plane on one page. Every call goes through these stages in this order, and is recorded exactly once,
 * whatever happened to it.
 *
 *   preliminary   204 400 403 431  what could be read in two ways; pages of other origins, whose preflight ends here
 *   address       404 405          which operation, under which prefix
 *   authenticate  401              who calls; refused before the body is read, unless something here is open
 *   receive       400 413 415      the body, read and parsed once
 *   route         404              which policy serves this model for this caller
 *   authorise     401 403          whether the caller may, from there, now
 *   guard         400              what the request says is wanted
 *   mask          400              personal data is taken out, and put back into the answer
 *   shape         400              defaults, overrides, prompts
 *   cached        504              answered without asking a provider
 *   admit         403 429 503      rate limits and budgets; settled when the call is over
 *   dispatch      4xx 5xx          targets one after another, until one answers
 *   on record     503              where no call may go unaudited: before it is dispatched, and before a whole answer is given
 *   respond                        failures in the client's own format, in the stream where it has begun
 *   record                         metrics and log
 */
import { Buffer } from "node:buffer";
import type { Countries } from "../access/countries.ts";
import type { Circumstances } from "../access/rules.ts";
import type { AuditLog } from "../audit/audit.ts";
import type { ResponseCache } from "../cache/cache.ts";
import { estimatePromptTokens } from "../dialects/estimate.ts";
import { surfaces } from "../dialects/surfaces.ts";
import { type Failure, failure, failures } from "../failure.ts";
import type { FleetStore } from "../fleet/store.ts";
import type { TokenVerifier } from "../identity/verify.ts";
import { everyMask } from "../masking/masker.ts";
import type { Route, Snapshot } from "../snapshot/snapshot.ts";
import { costNanoUsd } from "../telemetry/cost.ts";
import { type CallRecord, newRecord } from "../telemetry/record.ts";
import type { ClientConnection } from "../wire/client.ts";
import { forwardHeaders, replyHeaders } from "../wire/headers.ts";
import { type Addressed, address, formatOf } from "./address.ts";
import { type Admitted, type Admitter, admit } from "./admit.ts";
import { authenticate, type Identity } from "./authenticate.ts";
import { bodiesOf, secretsOf } from "./bodies.ts";
import { throughCache } from "./cached.ts";
import { barred, circumstances } from "./circumstances.ts";
import { type Dispatcher, type DispatchOutcome, dispatch } from "./dispatch.ts";
import { estimatedUsage } from "./estimated.ts";
import { guarded } from "./guard.ts";
import { Heard } from "./heard.ts";
import { masked } from "./mask.ts";
import { mint } from "./mint.ts";
import { listModels } from "./models.ts";
import { beginOnRecord, endOnRecord } from "./on-record.ts";
import { ownUsage } from "./own-usage.ts";
import { planRequest, roughPromptTokens } from "./plan.ts";
import { preliminary } from "./preliminary.ts";
import { type Received, receive } from "./receive.ts";
import type { ResourceOperation } from "./resource-paths.ts";
import { passThrough, resourceTarget } from "./resources.ts";
import { denied, noTarget, resolveTargets, route } from "./route.ts";
import { requiredMember, type Shaped, shape } from "./shape.ts";

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
  limits: { maxReplyBytes: number; maxStreamBytes: number; stalledClientMs: number };
}

export function isFailure(value: object): value is Failure {
  return "code" in value && "retryAfterMs" in value;
}

/** A Retry-After that the SDKs obey: they wait at most 60 s. */
const longestWaitMs = 60_000;
/** The deadline where a route has no target to take one from. */
const defaultTotalMs = 600_000;

class Call {
  readonly #client: ClientConnection;
  readonly #gateway: Gateway;
  readonly #snapshot: Snapshot;
  readonly record: CallRecord;
  #surface: Addressed["surface"] = "openai";
  #admitted: Admitted | null = null;

  constructor(client: ClientConnection, gateway: Gateway, snapshot: Snapshot) {
    this.#client = client;
    this.#gateway = gateway;
    this.#snapshot = snapshot;
    this.record = newRecord(client.requestId, client.method, gateway.nowMs());
    if (client.path.endsWith("/messages")) this.#surface = "anthropic";
  }

  async serve(): Promise<void> {
    try {
      const from = circumstances(this.#client, this.#snapshot, this.#gateway.countries, this.#gateway.nowMs());
      this.record.address = from.address ?? "";
      if (this.#gateway.audit !== null) this.record.country = from.country() ?? "";
      const crossed = preliminary(this.#client, this.#snapshot.settings.cors.allowedOrigins);
      const failed = crossed === null ? await this.#stages(from) : this.#notePreliminary(crossed);
      if (failed) this.#fail(failed);
    } catch (cause) {
      this.#gateway.unexpected(cause, this.#client.requestId);
      this.#fail(failure("internal_error", "The gateway failed on this request. Report it with the request id."));
    } finally {
      this.record.durationMs ||= this.#gateway.nowMs() - this.record.startedMs;
      this.#admitted?.settle(this.record);
      const { holding } = this.#client;
      if (holding) await this.#release();
      this.#gateway.record(this.record, holding);
    }
  }

  /** The answer that was held back, or a refusal in its place. */
  async #release(): Promise<void> {
    const unaudited = await endOnRecord(this.#gateway.audit, this.record);
    if (unaudited && !this.#client.closed) this.#fail(unaudited);
    this.#client.release();
  }

  async #stages(call: Circumstances): Promise<Failure | null> {
    const addressed = address(this.#client.method, this.#client.path, this.#snapshot);
    if (isFailure(addressed)) return addressed;
    this.#surface = addressed.surface;
    const keyed = authenticate(this.#client.headers, this.#snapshot, this.#gateway.nowMs());
    const identity = keyed.anonymous && keyed.token !== undefined ? await this.#verify(keyed.token) : keyed;
    this.#noteIdentity(identity, addressed);
    if (identity.anonymous && !addressed.path.anonymous) return identity.failure;
    if (addressed.operation.kind === "mint") return this.#mint(identity);
    if (addressed.operation.kind === "usage")
      return this.#answer(await ownUsage(this.#client.url, identity, this.#snapshot.roles, this.#gateway.ledger, this.#gateway.nowMs()));
    if (addressed.operation.kind === "resource") return this.#resource(addressed.operation, addressed, identity, call);
    if (addressed.operation.kind === "models") return this.#models(addressed, identity, call, addressed.operation.id);
    const reading = receive(this.#client, this.#snapshot.settings.maxBodyBytes, requiredMember[formatOf(addressed.operation)]);
    const received = reading instanceof Promise ? await reading : reading;
    return await (isFailure(received) ? received : this.#received(received, addressed, identity, call));
  }

  /** From the body on. */
  #received(received: Received, { path, operation }: Addressed, identity: Identity, call: Circumstances): Failure | null | Promise<Failure | null> {
    const routed = route(path, received.model, identity);
    if (isFailure(routed)) return routed;
    this.record.route = routed.route.config.id;
    this.record.stream = received.stream;
    this.record.statistics = routed.route.config.logging.statistics;
    const format = formatOf(operation);
    const cleaned = this.#refused(routed, received, identity, call) ?? masked(routed.route, received, format, this.#client, this.record);
    if (isFailure(cleaned)) return cleaned;
    const shaped = shape(cleaned, format, routed.route, routed.model, identity, this.#gateway.nowMs());
    if (isFailure(shaped)) return shaped;
    return operation.kind === "countTokens" ? this.#countTokens(shaped) : this.#generate(shaped, routed.route, identity);
  }

  async #generate(shaped: Shaped, route: Route, identity: Identity): Promise<Failure | null> {
    const unaudited = route.config.audit.required ? await beginOnRecord(this.#gateway.audit, this.record) : null;
    if (unaudited) return unaudited;
    if (route.config.audit.required && !shaped.received.stream) this.#client.hold();
    const { masker } = route;
    const heard = route.config.audit.bodies ? new Heard(shaped.format) : null;
    if (heard !== null) this.#client.filterFirst(heard);
    const failed = await throughCache({
      client: this.#client,
      gateway: this.#gateway,
      surface: this.#surface,
      snapshot: this.#snapshot,
      route,
      identity,
      shaped,
      record: this.record,
      go: () => this.#dispatch(shaped, route, identity),
    });
    if (heard !== null) this.record.audited = bodiesOf(shaped.received.bytes, heard.body, masker ?? everyMask, this.#secrets());
    return failed;
  }

  #secrets(): string[] {
    return secretsOf(this.#client.headers, this.#snapshot);
  }

  #refused({ route, model }: { route: Route; model: string | null }, received: Received, identity: Identity, call: Circumstances): Failure | null {
    return denied(route, model, identity, this.#snapshot.roles) ?? barred(route, call) ?? guarded(route, received, identity);
  }

  #notePreliminary(crossed: "answered" | Failure): Failure | null {
    this.record.operation = "preflight";
    if (crossed !== "answered") return crossed;
    this.record.status = 204;
    return null;
  }

  #verify(token: string): Identity | Promise<Identity> {
    return this.#gateway.tokens.verify(token, this.#snapshot.settings.identity.issuers);
  }

  async #mint(identity: Identity): Promise<Failure | null> {
    return this.#answer(await mint(this.#client, identity, this.#snapshot, this.#gateway.nowMs()));
  }

  #noteIdentity(identity: Identity, addressed: Addressed): void {
    this.record.operation = addressed.operation.kind === "generate" ? addressed.operation.format : addressed.operation.kind;
    const key = identity.anonymous ? identity.known : identity.key;
    if (key === undefined) return;
    this.record.key = key.id;
    this.record.user = key.user;
    this.record.team = key.team ?? "";
    this.record.role = key.role;
  }

  #models(addressed: Addressed, identity: Identity, call: Circumstances, id: string | null): Failure | null {
    return this.#answer(listModels(addressed.path, identity, call, this.#snapshot.roles, id));
  }

  #answer(found: object | Failure): Failure | null {
    if (isFailure(found)) return found;
    this.#json(found);
    return null;
  }

  async #resource(operation: ResourceOperation, { path }: Addressed, identity: Identity, from: Circumstances): Promise<Failure | null> {
    const target = resourceTarget(operation, path, identity, from, this.#snapshot.roles);
    if (isFailure(target)) return target;
    const { config } = target.entry.account;
    this.record.route = target.route.config.id;
    this.record.provider = config.id;
    this.record.region = config.region ?? "";
    this.record.statistics = target.route.config.logging.statistics;
    const { upstreams, auth } = this.#gateway;
    const { route } = target;
    const call = { client: this.#client, surface: this.#surface, snapshot: this.#snapshot, model: "" };
    const unaudited = route.config.audit.required ? await beginOnRecord(this.#gateway.audit, this.record) : null;
    if (unaudited) return unaudited;
    const admitted = await admit({ ...call, route, identity, shaped: null, targets: [] }, this.#gateway);
    if (isFailure(admitted)) return admitted;
    this.#admitted = admitted;
    return passThrough(this.#client, operation, target, {
      upstreams,
      auth,
      nowMs: () => this.#gateway.nowMs(),
      totalMs: config.timeouts.totalMs || defaultTotalMs,
    });
  }

  #countTokens(shaped: Shaped): Failure | null {
    const request = shaped.chat();
    if ("refused" in request) return failure(request.code as Failure["code"], String(request.message));
    this.#json({ input_tokens: estimatePromptTokens(request) });
    return null;
  }

  #json(body: object): void {
    this.#client.reply(200, { "content-type": "application/json", "x-request-id": this.#client.requestId }, JSON.stringify(body));
  }

  async #dispatch(shaped: Shaped, target: Parameters<typeof resolveTargets>[0], identity: Identity): Promise<Failure | null> {
    const resolved = resolveTargets(target, shaped.model);
    const first = resolved[0];
    if (first === undefined) return noTarget(target, shaped.model);
    this.record.model =
      shaped.model !== null && first.entry.models.has(shaped.model)
        ? shaped.model
        : (target.config.models?.find((name) => name === shaped.model) ?? first.model.name);
    const planned = this.#gateway.routing.plan(planRequest(shaped, target, resolved, identity, (name) => this.#client.header(name)));
    const call = { client: this.#client, surface: this.#surface, snapshot: this.#snapshot, model: this.record.model };
    const admission = admit({ ...call, route: target, identity, shaped, targets: planned }, this.#gateway);
    const admitted = admission instanceof Promise ? await admission : admission;
    if (isFailure(admitted)) return admitted;
    this.#admitted = admitted;
    const outcome = await dispatch(
      {
        client: this.#client,
        shaped,
        route: target,
        targets: planned,
        deadlineMs: this.#deadlineMs(first.entry.account.config.timeouts.totalMs),
        forwarded: forwardHeaders(this.#client.headers),
        promptTokens: roughPromptTokens(shaped.received),
        limits: this.#gateway.limits,
        replyHeaders: (chosen, prepared, upstream, attempts) => {
          const headers: Record<string, string | number> = {};
          if (!prepared.translated) replyHeaders(upstream, headers);
          headers["x-request-id"] = this.#client.requestId;
          headers["x-provider-used"] = chosen.config.name;
          if (this.record.cache !== null) headers["x-sluice-cache"] = this.record.cache;
          if (prepared.dropped.length > 0) headers["x-sluice-dropped-params"] = prepared.dropped.join(",");
          if (this.#client.header("x-sluice-attempts") !== null) headers["x-sluice-attempts"] = attempts;
          const sunset = chosen.model.config.sunset;
          if (sunset !== null) headers["sunset"] = new Date(`${sunset}T00:00:00Z`).toUTCString();
          return headers;
        },
      },
      this.#gateway,
    );
    this.#noteOutcome(outcome, shaped, target);
    if (outcome.broken && outcome.failure) {
      this.#breakOff(outcome.failure, outcome.told);
      return null;
    }
    if (outcome.failure === null && shaped.received.stream) this.#client.finish();
    return outcome.failure;
  }

  /** One deadline for all attempts, and never later than the client's own time-out (`x-stainless-timeout`, seconds). */
  #deadlineMs(totalMs: number): number {
    const theirs = Number(this.#client.header("x-stainless-timeout") ?? Number.NaN) * 1000;
    const budget = Number.isFinite(theirs) && theirs > 0 ? Math.min(theirs, totalMs) : totalMs;
    return this.#gateway.nowMs() + (budget || defaultTotalMs);
  }

  #noteOutcome(outcome: DispatchOutcome, shaped: Shaped, route: Route): void {
    const { record } = this;
    record.attempts = outcome.attempts;
    record.dropped = outcome.dropped;
    record.usage = outcome.usage ?? (outcome.target === null ? null : estimatedUsage(shaped, outcome.contentLength, outcome.body));
    record.firstByteMs = outcome.firstByteMs;
    record.abandoned = outcome.abandoned;
    const last = outcome.attempts.at(-1);
    record.target = outcome.target?.config.name ?? "";
    record.provider = outcome.target?.entry.account.config.id ?? last?.provider ?? "";
    record.upstreamModel = outcome.target?.model.config.upstream ?? "";
    record.region = outcome.target?.entry.account.config.region ?? "";
    if (record.usage && outcome.target) record.costNanoUsd = costNanoUsd(record.usage, outcome.target.model.config.price);
    if (outcome.abandoned) {
      record.code = "client_closed_request";
      record.status = failures.client_closed_request.status;
    }
    this.#noteBodies(shaped, outcome.body, route);
  }

  #noteBodies(shaped: Shaped, body: DispatchOutcome["body"], { config, masker }: Route): void {
    // The texts of the request are masked by now, where the policy masks; names of members and what the provider said are not.
    if (config.logging.payloads) this.record.payloads = bodiesOf(shaped.received.bytes, body ?? "", masker, this.#secrets());
  }

  /** The answer has begun: all that is left is an event in the client's format, and no end marker. */
  #breakOff(failed: Failure, told = false): void {
    this.record.broken = true;
    this.record.code = failed.code;
    this.record.cause = failed.cause;
    if (!told) this.#client.writeRaw(surfaces[this.#surface].streamError(failed, this.#client.requestId));
    this.#client.end();
  }

  #fail(failed: Failure): void {
    const row = failures[failed.code];
    this.record.code = failed.code;
    this.record.status = row.status;
    this.record.cause = failed.cause;
    if (this.#client.started) {
      this.#breakOff(failed);
      return;
    }
    const body = JSON.stringify(surfaces[this.#surface].errorBody(failed, this.#client.requestId));
    this.#client.head(row.status, this.#failureHeaders(failed, Buffer.byteLength(body)));
    this.#client.end(body);
  }

  #failureHeaders(failed: Failure, length: number): Record<string, string | number> {
    const row = failures[failed.code];
    const headers: Record<string, string | number> = { "content-type": "application/json", "content-length": length, "x-request-id": this.#client.requestId };
    const wait = failed.retryAfterMs;
    if (wait !== null) headers["retry-after"] = Math.max(1, Math.ceil(wait / 1000));
    const retry = wait !== null && wait > longestWaitMs ? false : row.retry;
    if (retry !== null) headers["x-should-retry"] = String(retry);
    if (row.status === 401) headers["www-authenticate"] = "Bearer";
    if (failed.code === "method_not_allowed") headers["allow"] = this.#client.path.includes("/models") ? "GET, HEAD" : "POST";
    return headers;
  }
}

export function serve(client: ClientConnection, gateway: Gateway, snapshot: Snapshot): Promise<void> {
  return new Call(client, gateway, snapshot).serve();
}
