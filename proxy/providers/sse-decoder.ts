/** A provider's server-sent events → events of the canonical stream. */
import type { StreamEvent } from "../dialects/canonical.ts";
import { SseDecoder, type SseFrame, SseOverflowError } from "../wire/sse.ts";
import { oversizedEvent, streamFailure } from "./errors.ts";
import type { ChatStreamDecoder } from "./provider.ts";

export type Emit = (event: StreamEvent) => void;

/**
 * The base of every SSE stream decoder. `onFrame` emits events; after `end` or `error` the rest is ignored. An upstream
 * that closes before that is a failure, unless `onClose` (for formats without a marker) emits `end`.
 */
export function sseChatDecoder(
  onFrame: (frame: SseFrame, emit: Emit) => void,
  onClose?: (emit: Emit) => void,
  maxEventBytes?: number,
): ChatStreamDecoder {
  const sse = new SseDecoder(maxEventBytes);
  let over = false;
  const collect = (run: (emit: Emit) => void): StreamEvent[] => {
    const events: StreamEvent[] = [];
    run((event) => {
      if (over) return;
      events.push(event);
      over = event.kind === "end" || event.kind === "error";
    });
    return events;
  };
  const read = (bytes: Uint8Array, emit: Emit): void => {
    for (const frame of sse.push(bytes)) {
      if (over) return;
      onFrame(frame, emit);
    }
  };
  return {
    push(bytes) {
      if (over) return [];
      return collect((emit) => {
        try {
          read(bytes, emit);
        } catch (cause) {
          if (cause instanceof SseOverflowError) {
            emit(oversizedEvent("The provider sent an event that is larger than the gateway accepts."));
            return;
          }
          if (!(cause instanceof SyntaxError)) throw cause;
          emit(streamFailure("upstream_invalid_response", "The provider's stream could not be read."));
        }
      });
    },
    end() {
      if (over) return [];
      return collect((emit) => {
        onClose?.(emit);
        emit(
          streamFailure(
            "upstream_stream_truncated",
            "The provider's stream ended before the answer was complete.",
            "Unavailable",
          ),
        );
      });
    },
  };
}
