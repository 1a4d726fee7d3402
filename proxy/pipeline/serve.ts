/**
 * The stages of a call, in this order, up to the reading of its body; serve-received.ts and generate.ts have the rest.
 * Every call is recorded exactly once, whatever its outcome. stages.ts lists the stages, with what each answers.
 */
import type { Circumstances } from "../access/rules.ts";
import type { BodyPlace } from "../call/body-room.ts";
import type { Identity } from "../call/identity.ts";
import type { Received } from "../call/received.ts";
import { requiredMember } from "../call/shaped.ts";
import type { WireFormat } from "../config/capabilities.ts";
import { type Failure, isFailure } from "../failure.ts";
import { mediaFormat } from "../media/registry.ts";
import type { PathEntry, Snapshot } from "../snapshot/snapshot.ts";
import type { ClientConnection } from "../wire/client.ts";
import { type Addressed, address, addressFor, formatOf } from "./address.ts";
import type { AnswerHeaders } from "./answer-headers.ts";
import { authenticate } from "./authenticate.ts";
import { bodyPlace, isPlace, roomOwner } from "./body-place.ts";
import { type CallEnd, type CallOutcome, CallState, underWay } from "./call-state.ts";
import { circumstances } from "./circumstances.ts";
import { denyBeyondModels } from "./client-token.ts";
import { type ActiveCalls, answer, answerLater, breakCall, endCall } from "./end-call.ts";
import type { Gateway } from "./gateway.ts";
import { mint } from "./mint.ts";
import { listModels } from "./models.ts";
import { methodOf, openSocket } from "./open-socket.ts";
import { ownUsage } from "./own-usage.ts";
import { preliminary } from "./preliminary.ts";
import type { Unambiguous } from "./proof.ts";
import { receive } from "./receive.ts";
import { noteIdentity } from "./record-fields.ts";
import { serveResource } from "./resource-call.ts";
import { offersTo } from "./route.ts";
import { type Arrival, serveReceived } from "./serve-received.ts";

/** Anthropic's SDK reads a call's id from this header. A value from the provider is kept. */
const nameForAnthropic =
  (requestId: string) =>
  (headers: AnswerHeaders): void => {
    headers["request-id"] ??= requestId;
  };

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

  /** Operations without a format are answered in the format of the caller's SDK. */
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
    const addressed = address(methodOf(client), client.path, this.#snapshot);
    if (isFailure(addressed)) return addressed;
    this.#state.surface = this.#surfaceOf(addressed);
    this.#state.enter("authenticate");
    const keyed = authenticate(client, this.#snapshot, this.#gateway.nowMs(), this.#gateway.foreignKeys);
    const verified = keyed.anonymous && keyed.token !== undefined ? this.#verify(keyed.token) : keyed;
    return verified instanceof Promise
      ? this.#verified(client, addressed, verified, from)
      : this.#identified(client, addressed, verified, from);
  }

  // A method, like others below: a closure would be allocated for every call, and most don't need it.
  async #verified(client: Unambiguous, addressed: Addressed, token: Promise<Identity>, from: Circumstances) {
    return this.#identified(client, addressed, await token, from);
  }

  /** The stages from the caller's identity on. */
  #identified(client: Unambiguous, byPath: Addressed, identity: Identity, from: Circumstances): CallOutcome {
    const addressed = addressFor(identity, byPath, methodOf(client), client.path, this.#snapshot);
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
    return isFailure(received) ? received : serveReceived(this.#state, received, arrival);
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
}

/** Never throws. Takes the client from `active` at the end. */
export const serve = (client: ClientConnection, gateway: Gateway, snapshot: Snapshot, active: ActiveCalls): void =>
  new Call(client, gateway, snapshot, active).serve();
