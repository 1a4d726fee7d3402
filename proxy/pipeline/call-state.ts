/** What the stages of one call share. */
import type { BodyPlace } from "../call/body-room.ts";
import type { Identity } from "../call/identity.ts";
import { type CallRecord, newRecord } from "../call/record.ts";
import { sessionOf } from "../call/session.ts";
import type { Shaped } from "../call/shaped.ts";
import type { Failure } from "../failure.ts";
import { everyMask, type Masker } from "../masking/masker.ts";
import { describedAnswer, describedForm } from "../media/described.ts";
import { mediaFormat } from "../media/registry.ts";
import type { Route, Snapshot } from "../snapshot/snapshot.ts";
import type { Tracer } from "../tracing/tracer.ts";
import type { ClientConnection } from "../wire/client.ts";
import { forwardHeaders } from "../wire/headers.ts";
import type { Addressed } from "./address.ts";
import type { Gateway } from "./gateway.ts";
import { excerpts, secretsOf } from "./redacted-excerpt.ts";
import type { Admitted } from "./reservation.ts";
import type { ShadowSample } from "./shadow.ts";

/** The call goes on, and its `CallEnd` will be called. */
export const underWay = Symbol("under way");

type Outcome = Failure | null | typeof underWay;

/** null: it was answered. A promise only if something has to be waited for before a provider is asked. */
export type CallOutcome = Outcome | Promise<Outcome>;

/** What follows a call's stages. Exactly one of its methods is called. */
export interface CallEnd {
  /** null: it was answered. */
  over(failed: Failure | null): void;
  /** The gateway itself failed. */
  broke(cause: unknown): void;
}

/** A separate function: a closure in the constructor would be allocated for every call. */
const tracedBy = (tracer: Tracer, client: ClientConnection): CallRecord["trace"] =>
  tracer.begin((name) => client.header(name));

export class CallState {
  readonly client: ClientConnection;
  readonly gateway: Gateway;
  readonly snapshot: Snapshot;
  readonly record: CallRecord;
  readonly end: CallEnd;
  /** Milliseconds of the deadlines' clock. */
  readonly #beganMs: number;
  surface: Addressed["surface"] = "openai";
  /** Whether the header is there that Anthropic's SDK always sends. */
  readonly speaksAnthropic: boolean;
  admitted: Admitted | null = null;
  /** Set if a copy of the call goes to the policy's shadow. */
  sample: ShadowSample | null = null;
  /** Memory for the body. */
  place: BodyPlace | null = null;
  /**
   * `namespace/name` of the only provider that can be asked, because it keeps the state that the request continues
   * from; null for any.
   */
  account: string | null = null;

  constructor(client: ClientConnection, gateway: Gateway, snapshot: Snapshot, end: CallEnd) {
    this.client = client;
    this.end = end;
    this.gateway = gateway;
    this.snapshot = snapshot;
    this.record = newRecord(client.requestId, client.method, gateway.nowMs());
    this.#beganMs = gateway.deadlines.nowMs();
    this.record.trace = gateway.tracer === null ? null : tracedBy(gateway.tracer, client);
    this.record.session = sessionOf(client, ["", gateway.sessionHeader], null);
    this.speaksAnthropic = client.header("anthropic-version") !== null;
    if (this.speaksAnthropic || client.path.endsWith("/messages")) this.surface = "anthropic";
  }

  /** How long the call has taken so far, whatever was done to the system's clock. */
  elapsedMs(): number {
    return this.gateway.deadlines.nowMs() - this.#beganMs;
  }

  /** Marks the start of a stage in the call's trace. */
  enter(stage: string): void {
    this.record.trace?.enter(stage);
  }

  /** Binds a text to the caller's key: the same text of another key gives another result. */
  ofCaller(identity: Identity, text: string): string {
    return this.snapshot.digest(JSON.stringify([identity.anonymous ? null : identity.key.id, text]));
  }

  /** The client's headers that a provider gets. */
  forwarded(identity: Identity): Record<string, string> {
    return forwardHeaders(this.client.headers, identity, this);
  }

  bodies(shaped: Shaped, answer: Uint8Array | string, masker: Masker | null): ReturnType<typeof excerpts> {
    const { bytes, json, parts } = shaped.received;
    const request = parts === undefined ? bytes : JSON.stringify(describedForm(json, parts));
    const shown = mediaFormat(shaped.format) === null ? answer : describedAnswer(answer);
    return excerpts(request, shown, masker, secretsOf(this.client.headers, this.snapshot));
  }

  /** Always masked: people who read traces may not be allowed to read the log. */
  traceBodies(shaped: Shaped, answer: Uint8Array | string, { config, masker }: Route): void {
    const { trace } = this.record;
    if (trace !== null && this.gateway.tracer?.settings.bodies === true && config.logging.payloads)
      trace.bodies = this.bodies(shaped, answer, masker ?? everyMask);
  }
}
