/**
 * Gets the vector of a text from a route's embeddings provider. The gateway makes this call on behalf of a caller, with
 * the provider's credential, within its quota and the caller's budgets, and records it under the operation
 * `semantic_cache`. It has a time limit; a late result is not awaited.
 */

import { Buffer } from "node:buffer";
import { normalised } from "../cache/vectors.ts";
import { callerOf } from "../call/caller.ts";
import { parseBody } from "../call/received.ts";
import type { CallRecord, SemanticLookup } from "../call/record.ts";
import type { Shaped } from "../call/shaped.ts";
import { type ProviderError, refusal } from "../dialects/canonical.ts";
import { embeddings } from "../dialects/openai-embeddings.ts";
import { isFailure } from "../failure.ts";
import { authorizedCall } from "../providers/authorized-call.ts";
import type { Permit } from "../routing/routing.ts";
import type { Embedder } from "../snapshot/snapshot.ts";
import { costNanoUsd } from "../telemetry/cost.ts";
import { type AttemptCause, isOfProvider, tokenCauseOf } from "../wire/causes.ts";
import { isObject, parseJson } from "../wire/json.ts";
import type { ResponseHeaders } from "../wire/upstream.ts";
import { type AdmittedAside, admitAside } from "./admit.ts";
import type { AdmitRequest, Admitter } from "./admit-request.ts";
import { withComputeTime } from "./compute-time.ts";
import type { Dispatcher } from "./dispatch-request.ts";
import { estimatedUsage } from "./estimated.ts";
import { roughPromptTokens } from "./plan.ts";
import { prepare } from "./prepare.ts";
import type { Prepared } from "./prepared.ts";
import { cleanHeaders, isProviderError, parseLoosely } from "./provider-error.ts";
import { healthClassOf } from "./retry.ts";
import { type SmallReply, sendSmall } from "./small-call.ts";

export interface EmbedWith extends Dispatcher, Admitter {
  record(call: CallRecord): void;
  unexpected(cause: unknown, requestId: string): void;
}

export interface EmbedRequest {
  text: string;
  embedder: Embedder;
  timeoutMs: number;
  /** Whether rate limits apply, because no other upstream call may follow. */
  limited: boolean;
  /** Details of the call for which the vector is made. */
  record: CallRecord;
  caller: Pick<AdmitRequest, "client" | "surface" | "snapshot" | "route" | "identity">;
}

export interface Embedded {
  vector: Float32Array | NoVector;
  /** Call it once. `counted`: the caller's call made no other upstream call. */
  over(counted: boolean): void;
}

export type NoVector = Exclude<SemanticLookup["result"], "hit" | "miss" | "would_hit">;

/** Most dimensions of a vector: comparing takes time in proportion to their number and blocks everything else. */
const maxDimensions = 4_096;

/** Builds the request that a client would send for embeddings. */
function shapedOf(text: string, model: string): Shaped | null {
  const received = parseBody(Buffer.from(JSON.stringify({ model, input: text })));
  if (isFailure(received)) return null;
  const shaped: Shaped = {
    format: "openai.embeddings",
    received,
    model,
    preferred: null,
    filled: [],
    edits: {},
    opened: [],
    mustTranslate: false,
    compaction: null,
    chat: () => refusal(null, ""),
    embeddings: () => embeddings.decode(received.json),
    forTarget: () => shaped,
  };
  return shaped;
}

function vectorOf(body: Uint8Array | string): Float32Array | null {
  try {
    const parsed = parseJson(
      typeof body === "string" ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"),
    );
    const data = isObject(parsed) ? parsed["data"] : null;
    const first: unknown = Array.isArray(data) ? data[0] : null;
    const values = isObject(first) ? first["embedding"] : null;
    if (
      !Array.isArray(values) ||
      values.length === 0 ||
      values.length > maxDimensions ||
      !values.every((value) => typeof value === "number")
    )
      return null;
    return normalised(values as number[]);
  } catch {
    return null;
  }
}

class Embedding {
  readonly #request: EmbedRequest;
  readonly #with: EmbedWith;
  #cause: AttemptCause | null = null;
  readonly #signal: AbortSignal;
  readonly #beganMs: number;
  /** Records the usage in budgets, metrics, log and ledger. */
  readonly #record: CallRecord;
  #leave: AdmittedAside | null = null;

  constructor(request: EmbedRequest, own: EmbedWith, signal: AbortSignal) {
    this.#request = request;
    this.#with = own;
    this.#signal = signal;
    this.#beganMs = own.deadlines.nowMs();
    const { config } = request.embedder.entry.account;
    this.#record = {
      ...request.record,
      startedMs: own.nowMs(),
      operation: "semantic_cache",
      model: request.embedder.model.name,
      provider: config.id,
      upstreamModel: request.embedder.model.config.upstream,
      region: config.region ?? "",
      stream: false,
      cache: null,
      semantic: null,
      masked: null,
      trace: null,
    };
  }

  async run(): Promise<Float32Array | NoVector> {
    const { text, embedder, caller, limited } = this.#request;
    const shaped = shapedOf(text, embedder.model.name);
    if (shaped === null) return "failed";
    this.#leave = await admitAside(
      { ...caller, shaped, targets: [embedder], model: embedder.model.name, session: this.#request.record.session },
      limited,
      this.#with,
    );
    if (this.#leave === null) return "refused";
    try {
      return await this.#admitted(shaped);
    } finally {
      if (this.#record.usage !== null) {
        this.#record.durationMs = this.#with.deadlines.nowMs() - this.#beganMs;
        this.#with.record(this.#record);
      }
    }
  }

  over(counted: boolean): void {
    this.#leave?.settle(this.#record, counted);
  }

  async #admitted(shaped: Shaped): Promise<Float32Array | NoVector> {
    const { routing } = this.#with;
    if (this.#signal.aborted) return "slow";
    const permit = await routing.acquire(
      this.#request.embedder,
      roughPromptTokens(shaped.received),
      callerOf(this.#request.caller.identity, this.#request.record.address),
    );
    if (permit === null) return "paused";
    try {
      const reply = await this.#send(shaped);
      return reply === null ? this.#silent(permit) : this.#read(shaped, reply, permit);
    } catch (cause) {
      permit.released();
      throw cause;
    }
  }

  async #send(shaped: Shaped): Promise<(SmallReply & { prepared: Prepared }) | null> {
    const { embedder, record, timeoutMs } = this.#request;
    const prepared = prepare(shaped, embedder, {
      requestId: record.requestId,
      nowMs: this.#with.nowMs(),
      deadlineMs: timeoutMs,
      forwarded: {},
    });
    if (isFailure(prepared)) return null;
    try {
      const outgoing = await authorizedCall(embedder.entry, prepared.outgoing, this.#with.auth);
      const reply = this.#signal.aborted
        ? null
        : await sendSmall(
            this.#with.upstreams,
            embedder.entry.address,
            outgoing,
            this.#signal,
            (cause) => (this.#cause = cause),
          );
      return reply === null ? null : { ...reply, prepared };
    } catch (thrown) {
      this.#cause = tokenCauseOf(thrown);
      return null;
    }
  }

  /** A provider too slow for a look-up may still be healthy. */
  #silent(permit: Permit): NoVector {
    if (this.#signal.aborted) permit.released();
    else
      permit.failed({
        class: "Unavailable",
        retryAfterMs: null,
        cause: this.#cause,
        ofCaller: !isOfProvider(this.#cause),
      });
    return "failed";
  }

  #read(
    shaped: Shaped,
    { status, headers, body, prepared }: SmallReply & { prepared: Prepared },
    permit: Permit,
  ): Float32Array | NoVector {
    const durationMs = this.#with.deadlines.nowMs() - this.#beganMs;
    const whole = status >= 200 && status < 300 ? prepared.whole(body, headers) : this.#error(status, headers, body);
    if (isProviderError(whole)) {
      const kind = healthClassOf(whole);
      if (kind === null || whole.fault === "caller") permit.released();
      else permit.failed({ class: kind, retryAfterMs: whole.retryAfterMs, ofCaller: whole.fault !== "provider" });
      return "failed";
    }
    const { price } = this.#request.embedder.model.config;
    const usage = withComputeTime(whole.usage ?? estimatedUsage(shaped, 0, null), durationMs, price);
    this.#record.usage = usage;
    this.#record.costNanoUsd = costNanoUsd(usage, price);
    permit.succeeded({ firstByteMs: durationMs, durationMs, tokens: usage.prompt });
    return vectorOf(whole.body) ?? "failed";
  }

  /** Discards a refused token so that the next call gets a new one. */
  #error(status: number, headers: ResponseHeaders, body: Buffer): ProviderError {
    const { provider, account } = this.#request.embedder.entry;
    const clean = cleanHeaders(headers, account);
    const reply = {
      status,
      headers: clean,
      body: parseLoosely(body.subarray(0, 65_536), account),
      nowMs: this.#with.nowMs(),
    };
    const error = provider.decodeError(reply);
    if (error.class === "Unauthorized") provider.renew?.(account, reply, this.#with.auth);
    return error;
  }
}

/** Never fails. */
export function embed(request: EmbedRequest, own: EmbedWith): Promise<Embedded> {
  const late = new AbortController();
  return new Promise((resolve) => {
    const embedding = new Embedding(request, own, late.signal);
    // Reads what has arrived first: this process may have been the slow side.
    const timer = setTimeout(
      () =>
        setImmediate(() => {
          late.abort();
          resolve({ vector: "slow", over: () => undefined });
        }),
      request.timeoutMs,
    );
    const done = (vector: Float32Array | NoVector): void => {
      clearTimeout(timer);
      if (late.signal.aborted) embedding.over(false);
      else resolve({ vector, over: (counted) => embedding.over(counted) });
    };
    embedding.run().then(done, (cause: unknown) => {
      own.unexpected(cause, request.record.requestId);
      done("failed");
    });
  });
}
