/**
 * watsonx's chat stream: OpenAI's chunks as events with ids, without `[DONE]`. It is complete when it closes after a
 * finish reason or the usage (https://cloud.ibm.com/apidocs/watsonx-ai#text-chat-stream).
 */

import type { StreamEvent } from "../../dialects/canonical.ts";
import { isObject, parseJson } from "../../wire/json.ts";
import { errorInAnswer } from "../errors.ts";
import { ChatChunks } from "../openai/stream.ts";
import type { ChatStreamDecoder } from "../provider.ts";
import { sseChatDecoder } from "../sse-decoder.ts";
import { decodeWatsonxError } from "./failure.ts";

/** Tool calls whose arguments have been empty so far, by choice and index. */
class EmptyArguments {
  readonly #open = new Map<number, Set<number>>();

  see(event: StreamEvent): void {
    if (event.kind !== "delta") return;
    for (const call of event.delta.tool_calls ?? []) {
      const open = this.#open.get(event.choice) ?? new Set();
      this.#open.set(event.choice, open);
      if (call.id !== undefined) open.add(call.index);
      if (call.function?.arguments) open.delete(call.index);
    }
  }

  /** Callers parse the arguments, so missing arguments become an empty object. */
  mend(choice: number): StreamEvent[] {
    const open = [...(this.#open.get(choice) ?? [])];
    this.#open.delete(choice);
    return open.map((index) => ({
      kind: "delta",
      choice,
      delta: { tool_calls: [{ index, function: { arguments: "{}" } }] },
    }));
  }
}

export function watsonxDecoder(maxEventBytes?: number): ChatStreamDecoder {
  const chunks = new ChatChunks();
  const empty = new EmptyArguments();
  let complete = false;
  return sseChatDecoder(
    (frame, emit) => {
      const data = frame.data.trim();
      // A closing frame may hold the usage, or nothing that is JSON.
      if (data === "" || data === "[DONE]" || (frame.event === "close" && !data.startsWith("{"))) return;
      const body: unknown = parseJson(frame.data);
      const failed = frame.event === "error" || (isObject(body) && Array.isArray(body["errors"]));
      if (failed) {
        emit({ kind: "error", error: errorInAnswer(body, decodeWatsonxError) });
        return;
      }
      chunks.body(body, frame.event, (event) => {
        empty.see(event);
        if (event.kind === "finish") for (const mended of empty.mend(event.choice)) emit(mended);
        complete ||= event.kind === "finish" || event.kind === "usage";
        emit(event);
      });
    },
    (emit) => {
      if (complete) emit({ kind: "end" });
    },
    maxEventBytes,
  );
}
