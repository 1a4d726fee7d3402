/** Decides which calls are exported, and has their spans sent. */
import { CallTrace } from "../call/call-trace.ts";
import type { CallRecord } from "../call/record.ts";
import { parseTraceparent } from "../call/trace-context.ts";
import type { Attributes, OtlpEncoding } from "./otlp.ts";
import type { SpanQueue } from "./span-queue.ts";
import { SpanWriter, spanCount } from "./spans.ts";

export interface TraceSettings {
  /** Share of calls to sample, 0 to 1, of those whose caller doesn't decide. */
  ratio: number;
  /** Whether a caller's `traceparent` decides for its own calls. */
  parentDecides: boolean;
  /** Calls that take longer are always exported; 0 for none. */
  slowMs: number;
  /** Whether masked bodies are added, for policies that log them. */
  bodies: boolean;
  /** Added to the span of every call. */
  tags: Attributes;
}

/** Callers write it; a longer one is dropped. */
const maxTracestate = 512;

/** Whether something went wrong that the gateway or a provider is to blame for. */
const failed = ({ status, broken, attempts }: CallRecord): boolean =>
  status >= 500 || broken || attempts.some(({ outcome }) => outcome !== "ok");

export class Tracer {
  readonly settings: TraceSettings;
  readonly #queue: Pick<SpanQueue, "room" | "added">;
  readonly #writer: SpanWriter;

  /** `encoding`: that of the queue. */
  constructor(settings: TraceSettings, encoding: OtlpEncoding, queue: Pick<SpanQueue, "room" | "added">) {
    this.settings = settings;
    this.#queue = queue;
    this.#writer = new SpanWriter(encoding, settings.tags);
  }

  begin(header: (name: string) => string | null): CallTrace {
    const parent = parseTraceparent(header("traceparent"));
    const state = parent === null ? null : header("tracestate");
    const { ratio, parentDecides } = this.settings;
    return new CallTrace(parent, state !== null && state.length <= maxTracestate ? state : null, ratio, parentDecides);
  }

  record(call: CallRecord): void {
    const { trace } = call;
    if (trace === null) return;
    const { slowMs } = this.settings;
    const slow = slowMs > 0 && call.durationMs >= slowMs;
    if (!trace.sampled && !slow && !failed(call)) return;
    const spans = spanCount(trace);
    const batch = this.#queue.room(spans);
    if (batch !== null) {
      this.#writer.write(trace, call, batch);
      this.#queue.added(spans);
    }
    call.exported = { traceId: trace.traceId, endMs: call.startedMs + call.durationMs };
  }
}
