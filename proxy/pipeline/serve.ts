/**
 * The data plane on one page. Every call passes these stages in this order, and is recorded exactly once, whatever its
 * outcome.
 * The list of the stages, with what each answers, is in stages.ts.
 */
import type { Circumstances } from "../access/rules.ts";
import type { BodyPlace } from "../call/body-room.ts";
import type { Identity } from "../call/identity.ts";
import { asAnswered, type Received, withModel } from "../call/received.ts";
import { sessionOf } from "../call/session.ts";
import { requiredMember, type Shaped } from "../call/shaped.ts";
import type { WireFormat } from "../config/capabilities.ts";
import { type Failure, isFailure } from "../failure.ts";
import { openRequest } from "../ids/open-request.ts";
import { ownerOf } from "../ids/owner.ts";
import { mediaFormat } from "../media/registry.ts";
import type { PathEntry, Snapshot } from "../snapshot/snapshot.ts";
import type { RequestJob } from "../text-work/job.ts";
import type { ClientConnection } from "../wire/client.ts";
import { type Addressed, address, addressFor, formatOf } from "./address.ts";
import type { AnswerHeaders } from "./answer-headers.ts";
import { authenticate } from "./authenticate.ts";
import { bodyPlace, isPlace, roomOwner } from "./body-place.ts";
import { type CallEnd, type CallOutcome, CallState, underWay } from "./call-state.ts";
import { authorise, type CheckedCall, denyBeforeTexts } from "./checks.ts";
import { circumstances } from "./circumstances.ts";
import { denyBeyondModels } from "./client-token.ts";
import { answerCompacted, withSummaries } from "./compaction.ts";
import { tokenCount } from "./count-call.ts";
import { type ActiveCalls, answer, answerLater, breakCall, endCall } from "./end-call.ts";
import type { Gateway } from "./gateway.ts";
import { generate } from "./generate.ts";
import { withKeptItems } from "./kept-responses.ts";
import { mask } from "./mask.ts";
import { mint } from "./mint.ts";
import { listModels } from "./models.ts";
import { readMoved, textJobOf } from "./moved-texts.ts";
import { methodOf, openSocket } from "./open-socket.ts";
import { ownUsage } from "./own-usage.ts";
import { preliminary } from "./preliminary.ts";
import type { Unambiguous } from "./proof.ts";
import { receive } from "./receive.ts";
import { noteIdentity, noteRoute } from "./record-fields.ts";
import { serveResource } from "./resource-call.ts";
import { offersTo, resolveTargets, route } from "./route.ts";
import { chargedNamespace } from "./scope.ts";
import { shape } from "./shape.ts";

/** Anthropic's SDK reads a call's id from this header. A value from the provider is kept. */
const nameForAnthropic =
  (requestId: string) =>
  (headers: AnswerHeaders): void => {
    headers["request-id"] ??= requestId;
  };

/** Whose the call is, what it asks for, and where it comes from. */
interface Arrival {
  addressed: Addressed;
  identity: Identity;
  from: Circumstances;
}

class Call implements CallEnd {
  readonly #state: CallState;
  readonly #client: ClientConnection;
  readonly #gateway: Gateway;
  readonly #snapshot: Snapshot;
  readonly #active: ActiveCalls;

  constructor(client: ClientConnection, gateway: Gateway, snapshot: Snapshot, active: ActiveCalls) {
    this.#active = active;
    this.#state = new CallState(client, gateway, snapshot, this);
    this.#client = client;
    this.#gateway = gateway;
    this.#snapshot = snapshot;
  }

  serve(): void {
    let outcome: CallOutcome;
    try {
      outcome = this.#began();
    } catch (cause) {
      this.broke(cause);
      return;
    }
    if (outcome instanceof Promise) this.#waitFor(outcome);
    else if (outcome !== underWay) this.over(outcome);
  }

  #waitFor(outcome: Exclude<CallOutcome, Failure | null | typeof underWay>): void {
    outcome.then(
      (ended) => {
        if (ended !== underWay) this.over(ended);
      },
      (cause: unknown) => this.broke(cause),
    );
  }

  over(failed: Failure | null): void {
    if (this.#client.busy) this.#client.inTurn(() => endCall(this.#state, failed, this.#active));
    else endCall(this.#state, failed, this.#active);
  }

  broke(cause: unknown): void {
    if (this.#client.busy) this.#client.inTurn(() => breakCall(this.#state, cause, this.#active));
    else breakCall(this.#state, cause, this.#active);
  }

  #began(): CallOutcome {
    const { record } = this.#state;
    const from = circumstances(this.#client, this.#snapshot, this.#gateway.countries, this.#gateway.nowMs());
    record.address = from.address ?? "";
    if (this.#gateway.audit !== null) record.country = from.country() ?? "";
    const client = preliminary(this.#client, this.#snapshot.settings.cors.allowedOrigins);
    return client === "answered" || isFailure(client) ? this.#preflight(client) : this.#stages(client, from);
  }

  /** What has no format of its own is answered in the format of the caller's SDK. */
  #surfaceOf({ operation, surface }: Addressed): Addressed["surface"] {
    return !("format" in operation) && this.#state.speaksAnthropic ? "anthropic" : surface;
  }

  #preflight(crossed: "answered" | Failure): Failure | null {
    const { record } = this.#state;
    record.operation = "preflight";
    if (crossed !== "answered") return crossed;
    record.status = 204;
    return null;
  }

  #stages(client: Unambiguous, from: Circumstances): CallOutcome {
    const found = address(methodOf(client), client.path, this.#snapshot);
    if (isFailure(found)) return found;
    this.#state.surface = this.#surfaceOf(found);
    this.#state.enter("authenticate");
    const keyed = authenticate(client, this.#snapshot, this.#gateway.nowMs(), this.#gateway.foreignKeys);
    const verified = keyed.anonymous && keyed.token !== undefined ? this.#verify(keyed.token) : keyed;
    return verified instanceof Promise
      ? this.#verified(client, found, verified, from)
      : this.#identified(client, found, verified, from);
  }

  // Like others below, a method of its own: closures that most calls don't need would cost each of them.
  async #verified(client: Unambiguous, found: Addressed, token: Promise<Identity>, from: Circumstances) {
    return this.#identified(client, found, await token, from);
  }

  /** The stages from the caller's identity on. */
  #identified(client: Unambiguous, found: Addressed, identity: Identity, from: Circumstances): CallOutcome {
    const addressed = addressFor(identity, found, methodOf(client), client.path, this.#snapshot);
    const surface = this.#surfaceOf(addressed);
    this.#state.surface = surface;
    if (surface === "anthropic") client.always(nameForAnthropic(client.requestId));
    const { path, operation } = addressed;
    noteIdentity(this.#state.record, identity, operation);
    if (identity.anonymous && !offersTo(path, identity)) return identity.failure;
    const beyond = denyBeyondModels(identity, operation);
    if (beyond) return beyond;
    switch (operation.kind) {
      case "socket":
        return this.#opened(this.#openSocket(client, identity));
      case "mint":
        return answerLater(this.#state, mint(client, identity, this.#snapshot, this.#gateway.nowMs()));
      case "usage":
        return answerLater(this.#state, ownUsage(client.url, identity, this.#snapshot, this.#gateway));
      case "models":
        return answer(
          this.#state,
          listModels({
            ...{ path, identity, from, roles: this.#snapshot.roles },
            ...{ id: operation.id, url: client.url, isAnthropic: surface === "anthropic" },
          }),
        );
      case "resource":
        return serveResource(this.#state, {
          ...{ client, path, identity, from },
          operation: { ...operation, isAnthropic: this.#state.speaksAnthropic },
        });
      default:
        return this.#arriving(client, { addressed, identity, from });
    }
  }

  #openSocket(client: Unambiguous, identity: Identity): Failure | null {
    const { allowedOrigins } = this.#snapshot.settings.cors;
    return openSocket(
      client,
      this.#gateway.webSockets,
      allowedOrigins,
      roomOwner(identity, this.#state.record.address),
    );
  }

  #opened(failed: Failure | null): Failure | null {
    if (failed === null) this.#state.record.status = 101;
    return failed;
  }

  /** The stages from reading the body on. */
  #arriving(client: Unambiguous, arrival: Arrival): CallOutcome {
    const { addressed, identity } = arrival;
    const place = this.#placeFor(client, addressed.path, identity);
    if (!isPlace(place)) return place;
    this.#state.place = place;
    this.#state.enter("receive");
    const reading = this.#receive(client, place, formatOf(addressed.operation));
    return reading instanceof Promise
      ? this.#arrivedLater(reading, place, arrival)
      : this.#arrived(reading, place, arrival);
  }

  async #arrivedLater(reading: Promise<Received | Failure>, place: BodyPlace, arrival: Arrival) {
    return this.#arrived(await reading, place, arrival);
  }

  #arrived(received: Received | Failure, place: BodyPlace, arrival: Arrival): CallOutcome {
    place.arrived();
    return isFailure(received) ? received : this.#received(received, arrival);
  }

  #placeFor(client: Unambiguous, path: PathEntry, identity: Identity): ReturnType<typeof bodyPlace> {
    const { maxBodyBytes } = this.#snapshot.settings;
    return bodyPlace(client, this.#gateway.bodies, path, identity, this.#state.record.address, maxBodyBytes);
  }

  #receive(client: Unambiguous, place: BodyPlace, format: WireFormat): ReturnType<typeof receive> {
    const { maxBodyBytes, bodyLimits: limits } = this.#snapshot.settings;
    return receive(client, maxBodyBytes, requiredMember[format], {
      limits,
      accepts: mediaFormat(format)?.body ?? "json",
      minBytesPerSecond: this.#gateway.minUploadBytesPerSecond,
      grow: (bytes) => place.grow(bytes) === null,
    });
  }

  #verify(token: string): Identity | Promise<Identity> {
    const { issuers } = this.#snapshot.settings.identity;
    return this.#gateway.tokens.verify(token, issuers, this.#state.record.address);
  }

  /** The stages from the body on. */
  #received(read: Received, { addressed, identity, from }: Arrival): CallOutcome {
    const { record } = this.#state;
    this.#state.enter("route");
    const { path, operation, deployment } = addressed;
    const format = formatOf(operation);
    const given = asAnswered(read, format);
    if (given.isFile) this.#state.surface = "file";
    const named = withModel(given, deployment);
    if (isFailure(named)) return named;
    const routed = route(path, named.model, identity);
    if (isFailure(routed)) return routed;
    const compacts = operation.kind === "generate" && operation.compacts === true;
    noteRoute(record, routed.route);
    const received = withSummaries(named, { format, compacts }, routed.route, identity, this.#snapshot);
    if (isFailure(received)) return received;
    if (compacts) answerCompacted(this.#state, named, routed.route, identity);
    const ownHeader = routed.route.config.sessionHeader ?? "";
    record.session = sessionOf(this.#client, [ownHeader, this.#gateway.sessionHeader], received.json);
    record.stream = received.stream;
    const call = { routed, received, format, identity, from, roles: this.#snapshot.roles };
    const job = this.#gateway.texts.works ? textJobOf(call) : null;
    return job === null ? this.#checked(call, operation) : this.#moved(call, operation, job);
  }

  /** Large texts are read by a worker, after everything else was checked. */
  async #moved(call: CheckedCall, operation: Addressed["operation"], job: RequestJob) {
    const refused = denyBeforeTexts(call);
    if (refused !== null) return refused;
    const { identity, routed } = call;
    this.#state.enter("guard");
    const namespace = chargedNamespace({ identity, route: routed.route });
    const texts = await readMoved(this.#gateway.texts, namespace, job, this.#client);
    return isFailure(texts) ? texts : this.#checked({ ...call, texts }, operation);
  }

  /** The stages from the checks on. */
  #checked(call: CheckedCall, operation: Addressed["operation"]): CallOutcome {
    const { routed, received, format, identity } = call;
    const { record } = this.#state;
    const authorised = authorise(call);
    if (isFailure(authorised)) return authorised;
    this.#state.enter("mask");
    const client = this.#client;
    const { texts: pool } = this.#gateway;
    const namespace = chargedNamespace({ identity, route: routed.route });
    const masked = mask(authorised, { received, format, client, record, pool, namespace });
    if (isFailure(masked)) return masked;
    this.#state.enter("shape");
    if (record.trace !== null) record.trace.requested = received.json;
    const shaped = shape(masked, {
      ...{ routed: authorised, format, identity, nowMs: this.#gateway.nowMs() },
      compacts: operation.kind === "generate" && operation.compacts,
    });
    if (isFailure(shaped)) return shaped;
    const resolving = withKeptItems(this.#state, shaped, routed.route, identity);
    return resolving === null
      ? this.#shaped(shaped, call, operation)
      : this.#shapedLater(resolving, shaped, call, operation);
  }

  async #shapedLater(
    resolving: Promise<unknown>,
    shaped: Shaped,
    call: CheckedCall,
    operation: Addressed["operation"],
  ) {
    await resolving;
    return this.#shaped(shaped, call, operation);
  }

  #shaped(shaped: Shaped, { routed, identity }: CheckedCall, operation: Addressed["operation"]): CallOutcome {
    const owner = ownerOf(identity, routed.route, this.#snapshot.roles);
    const opened = openRequest(shaped, this.#snapshot.ids, owner, (account) =>
      resolveTargets(routed.route, shaped.model).some(({ entry }) => entry.account.config.id === account),
    );
    if (isFailure(opened)) return opened;
    this.#state.account = opened.account;
    return operation.kind === "countTokens"
      ? answerLater(this.#state, tokenCount(this.#state, shaped, routed.route, identity))
      : generate(this.#state, shaped, routed.route, identity);
  }
}

/** Never throws. Takes the client from `active` at the end. */
export const serve = (client: ClientConnection, gateway: Gateway, snapshot: Snapshot, active: ActiveCalls): void =>
  new Call(client, gateway, snapshot, active).serve();
