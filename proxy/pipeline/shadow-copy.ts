/** One copy of a call: sends it to the shadow as any call is sent, and compares the answers. */
import { setImmediate } from "node:timers/promises";
import { type CallRecord, newRecord } from "../call/record.ts";
import type { ComparedCall, Comparison, ShadowDrop } from "../config/shadow-report.ts";
import { failures } from "../failure.ts";
import { everyMask } from "../masking/masker.ts";
import { AnswerTap } from "../shadow/answer-tap.ts";
import { answerText } from "../shadow/answer-text.ts";
import type { ShadowRoom } from "../shadow/room.ts";
import { similarity } from "../shadow/similarity.ts";
import { SinkExchange } from "../shadow/sink-exchange.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Shadow } from "../snapshot/snapshot.ts";
import { ClientConnection } from "../wire/client.ts";
import { admitCopy } from "./admit.ts";
import { AnswerRecorder } from "./answer-recorder.ts";
import { dispatch } from "./dispatch.ts";
import type { DispatchOutcome } from "./dispatch-outcome.ts";
import { roughPromptTokens } from "./plan.ts";
import { noteOutcome } from "./record-fields.ts";
import { excerpts } from "./redacted-excerpt.ts";
import type { Admitted } from "./reservation.ts";
import type { CopyWith, ShadowCall, ShadowRecorder } from "./shadow-call.ts";

/** Largest whole answer that is read. */
const maxReplyBytes = 4_194_304;

/** The model to request from the shadow; null if its provider has none for this call. */
export function copyTarget({ config, entry, model }: Shadow, asked: string | null): ResolvedTarget | null {
  const { models } = entry;
  const only = models.size === 1 ? models.values().next().value : undefined;
  const asking = model ?? (asked === null ? only : models.get(asked));
  return asking === undefined ? null : { config, entry, model: asking };
}

function comparedCall(record: CallRecord): ComparedCall {
  const { provider, upstreamModel, status, broken, abandoned, usage, costNanoUsd, durationMs } = record;
  return {
    ...{ provider, model: upstreamModel, status, costNanoUsd, durationMs },
    ok: status < 400 && !broken && !abandoned,
    inputTokens: usage?.prompt ?? 0,
    outputTokens: usage?.completion ?? 0,
  };
}

export class ShadowCopy {
  readonly #call: ShadowCall;
  readonly #shadow: Shadow;
  /** Holds the call's answer. */
  readonly #tap: AnswerTap;
  readonly #room: ShadowRoom;
  readonly #recorder: ShadowRecorder;
  readonly #gateway: CopyWith;
  readonly #client: ClientConnection;
  readonly #record: CallRecord;
  /** Milliseconds of the deadlines' clock. */
  readonly #beganMs: number;
  readonly #ended = Promise.withResolvers<void>();
  #stopped = false;

  constructor(
    call: ShadowCall,
    shadow: Shadow,
    { tap, room, recorder }: { tap: AnswerTap; room: ShadowRoom; recorder: ShadowRecorder },
    gateway: CopyWith,
  ) {
    this.#call = call;
    this.#shadow = shadow;
    this.#tap = tap;
    this.#room = room;
    this.#recorder = recorder;
    this.#gateway = gateway;
    this.#beganMs = gateway.deadlines.nowMs();
    const { record } = call;
    this.#client = new ClientConnection(new SinkExchange(call.client.url), record.requestId);
    const { address, country, route, model, key, user, team, role, tags, session, stream, statistics } = record;
    this.#record = {
      ...newRecord(record.requestId, record.method, gateway.nowMs()),
      ...{ address, country, route, model, key, user, team, role, tags, session, stream, statistics },
      operation: "shadow",
    };
  }

  /** Resolves when the copy is recorded or dropped. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Ends the copy because the gateway stops. */
  breakOff(): void {
    this.#stopped = true;
    if (!this.#client.interrupt()) this.#client.destroy();
  }

  /** Never fails. */
  async run(): Promise<void> {
    try {
      const dropped = this.#stopped ? "stopping" : await this.#made();
      if (dropped !== null) this.#recorder.dropped(this.#record.route, dropped);
    } catch (cause) {
      this.#gateway.unexpected(cause, this.#record.requestId);
    } finally {
      this.#ended.resolve();
    }
  }

  /** Why there is no comparison; null if there is. */
  async #made(): Promise<ShadowDrop | null> {
    const { shaped, route, identity } = this.#call;
    const target = copyTarget(this.#shadow, shaped.model);
    if (target === null) return "no_model";
    const { model } = this.#record;
    const { budget } = this.#shadow;
    const admitted = await admitCopy({ route, identity, model, targets: [target], shaped, budget }, this.#gateway);
    if (admitted === null) return "budget";
    const tap = new AnswerTap(this.#room);
    this.#client.filter(tap);
    try {
      return await this.#sent(target, admitted, tap);
    } finally {
      admitted.settle(this.#record);
      tap.release();
    }
  }

  async #sent(target: ResolvedTarget, admitted: Admitted, tap: AnswerTap): Promise<ShadowDrop | null> {
    const { config } = this.#call.route;
    const recorder = config.audit.bodies ? new AnswerRecorder(this.#call.shaped.format) : null;
    if (recorder !== null) this.#client.filterFirst(recorder);
    const outcome = this.#stopped ? null : await this.#dispatch(target, admitted);
    if (outcome === null || !this.#note(outcome, target)) return this.#stopped ? "stopping" : "unavailable";
    if (recorder !== null) this.#record.audited = this.#bodies(recorder.body);
    if (this.#stopped) {
      this.#recorder.copied(this.#record, null);
      return "stopping";
    }
    this.#recorder.copied(this.#record, await this.#compared(tap));
    return null;
  }

  #dispatch(target: ResolvedTarget, admitted: Admitted): Promise<DispatchOutcome> {
    const { shaped, route, missed, forwarded } = this.#call;
    const { limits, deadlines } = this.#gateway;
    const deadlineMs = deadlines.nowMs() + target.entry.account.config.timeouts.totalMs;
    return dispatch(
      {
        ...{ admitted, missed, client: this.#client, shaped, route, targets: admitted.targets, forwarded, deadlineMs },
        cover: (asked, attempts) => admitted.cover(asked, attempts),
        promptTokens: roughPromptTokens(shaped.received),
        limits: { ...limits, maxReplyBytes: Math.min(limits.maxReplyBytes, maxReplyBytes), keepAliveMs: 0 },
        replyHeaders: () => ({}),
      },
      this.#gateway,
    );
  }

  /** Returns false if the shadow could not be asked, because its breaker is open or its quota is used up. */
  #note(outcome: DispatchOutcome, { entry, model, config }: ResolvedTarget): boolean {
    const record = this.#record;
    const failed = outcome.kind === "failed" || outcome.kind === "brokenOff" ? outcome.failure : null;
    const held = failed?.code === "no_usable_target" || failed?.code === "upstream_rate_limited";
    if (outcome.attempts.length === 0 && held) return false;
    noteOutcome(record, outcome);
    record.target = config.name;
    record.provider = entry.account.config.id;
    record.upstreamModel = model.config.upstream;
    record.region = entry.account.config.region ?? "";
    record.durationMs = this.#gateway.deadlines.nowMs() - this.#beganMs;
    if (failed !== null) {
      record.code = failed.code;
      record.cause = failed.cause;
    }
    if (outcome.kind === "failed") record.status = failures[outcome.failure.code].status;
    if (outcome.kind === "brokenOff") record.broken = true;
    return true;
  }

  async #compared(tap: AnswerTap): Promise<Comparison> {
    const { record, shaped } = this.#call;
    const { route: policy, model, status, broken } = this.#record;
    const pair = { policy, model, call: comparedCall(record), copy: comparedCall(this.#record) };
    if (status >= 400 || broken) return { ...pair, similarity: null };
    const { format } = shaped;
    const { stream } = shaped.received;
    // Calls that are waiting come first.
    await setImmediate();
    const answer = answerText(format, stream, this.#tap.bytes);
    await setImmediate();
    const copied = answerText(format, stream, tap.bytes);
    return { ...pair, similarity: answer === null || copied === null ? null : similarity(answer, copied) };
  }

  /** Always masked, as in records of calls. */
  #bodies(answer: Uint8Array | string): NonNullable<CallRecord["audited"]> {
    const { shaped, route, secrets } = this.#call;
    return excerpts(shaped.received.bytes, answer, route.masker ?? everyMask, secrets());
  }
}
